package httpapi

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"statuscache/cache/apikeys"
	"statuscache/cache/cachetest"
	"statuscache/httpapi/auth"
	"statuscache/httpapi/issuertest"
)

func TestAPIKeys(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.apply(succeeded(t, "mine", "ada", "1"), succeeded(t, "eves", "eve", "1"))
	ada := s.key("ada")
	mine, eves := statusPath+machine+"mine", statusPath+machine+"eves"
	for name, test := range map[string]struct {
		authorization []string
		target        string
		want          int
	}{
		"own":               {[]string{"Bearer " + ada}, mine, 200},
		"scheme any case":   {[]string{"bearer  " + ada}, mine, 200},
		"another's":         {[]string{"Bearer " + ada}, eves, 403},
		"operator":          {[]string{"Bearer " + s.key("ops", scope(apikeys.ScopeReadAll))}, eves, 200},
		"register only":     {[]string{"Bearer " + s.key("ada", scope(apikeys.ScopeRegister))}, mine, 403},
		"none":              {nil, mine, 401},
		"two":               {[]string{"Bearer " + ada, "Bearer " + ada}, mine, 401},
		"another scheme":    {[]string{"Basic " + ada}, mine, 401},
		"no scheme":         {[]string{ada}, mine, 401},
		"empty":             {[]string{"Bearer "}, mine, 401},
		"unknown":           {[]string{"Bearer csk_live_" + strings.Repeat("0", 32)}, mine, 401},
		"upper case":        {[]string{"Bearer " + strings.ToUpper(ada)}, mine, 401},
		"one digit more":    {[]string{"Bearer " + ada + "0"}, mine, 401},
		"cut off":           {[]string{"Bearer " + ada[:len(ada)-1]}, mine, 401},
		"a JWT without JWT": {[]string{"Bearer a.b.c"}, mine, 401},
	} {
		got := s.ask("GET", test.target, "", func(r *http.Request) { r.Header["Authorization"] = test.authorization })
		if got.status != test.want {
			t.Errorf("%s: %d %s, want %d", name, got.status, got.body, test.want)
		}
	}
	if _, err := s.keys.Revoke(t.Context(), ada[:17]); err != nil {
		t.Fatal(err)
	}
	cachetest.Eventually(t, "a revoked key is refused", func() bool { return s.ask("GET", mine, ada).status == 401 })
	if log := s.log.String(); strings.Contains(log, ada) || strings.Contains(log, ada[9:]) {
		t.Error("the key is in the log")
	}
}

func TestDailyLimit(t *testing.T) {
	t.Parallel()
	cachetest.ClearOfMidnight(t)
	s := newService(t)
	s.apply(succeeded(t, "mine", "ada", "1"))
	ada := s.key("ada", func(k *apikeys.Key) { k.DailyLimit = 3 })
	target := statusPath + machine + "mine"
	tag := s.ask("GET", target, ada).header.Get("ETag")
	for range 20 {
		if got := s.ask("GET", target, ada, header("If-None-Match", tag)); got.status != 304 {
			t.Fatalf("a 304 is not free: %d %s", got.status, got.body)
		}
	}
	for i, want := range []int{200, 200, 429, 429} {
		got := s.ask("GET", target, ada)
		if got.status != want {
			t.Fatalf("request %d: %d, want %d", i, got.status, want)
		}
		if want == 429 && (!strings.Contains(got.body, "DailyLimitExceeded") || got.header.Get("Retry-After") == "") {
			t.Errorf("%s %v", got.body, got.header)
		}
	}
}

func withJWT(i *issuertest.Issuer) func(*Options) {
	return func(o *Options) {
		o.JWT = &auth.JWT{Issuer: i.URL, ClientIDs: []string{"app"}, OwnerClaim: "sub", ScopePrefix: "status", OperatorGroups: []string{"ops"}}
		o.RateLimit = 0
	}
}

// TestAccessTokens: which tokens are good and which are not.
func TestAccessTokens(t *testing.T) {
	t.Parallel()
	i := issuertest.New(t)
	s := newService(t, withJWT(i))
	s.apply(succeeded(t, "mine", "ada", "1"), succeeded(t, "eves", "eve", "1"))
	mine, eves := statusPath+machine+"mine", statusPath+machine+"eves"
	cachetest.Eventually(t, "the keys are there", func() bool { return s.auth.Ready() == nil })

	for name, test := range map[string]struct {
		change func(jwt.MapClaims)
		target string
		want   int
	}{
		"own":                        {issuertest.Set("jti", "2"), mine, 200},
		"another's":                  {issuertest.Set("jti", "2"), eves, 403},
		"operator by scope":          {issuertest.Set("scope", "openid status/read:all"), eves, 200},
		"operator by group":          {issuertest.Set("cognito:groups", []string{"x", "ops"}), eves, 200},
		"a scope that looks like it": {issuertest.Set("scope", "xstatus/read:all status/read:all2 read:all"), eves, 403},
		"another group":              {issuertest.Set("cognito:groups", "ops"), eves, 403},
		"no exp":                     {issuertest.Set("exp", nil), mine, 401},
		"expired":                    {issuertest.Set("exp", time.Now().Add(-time.Minute).Unix()), mine, 401},
		"expired within leeway":      {issuertest.Set("exp", time.Now().Add(-time.Second).Unix()), mine, 200},
		"not yet valid":              {issuertest.Set("nbf", time.Now().Add(5*time.Minute).Unix()), mine, 401},
		"an ID token":                {issuertest.Set("token_use", "id"), mine, 401},
		"no token_use":               {issuertest.Set("token_use", nil), mine, 401},
		"another client":             {issuertest.Set("client_id", "other"), mine, 401},
		"no client":                  {issuertest.Set("client_id", nil), mine, 401},
		"another pool":               {issuertest.Set("iss", i.URL+"2"), mine, 401},
		"issuer with slash":          {issuertest.Set("iss", i.URL+"/"), mine, 401},
		"no issuer":                  {issuertest.Set("iss", nil), mine, 401},
		"no owner":                   {issuertest.Set("sub", nil), mine, 401},
		"empty owner":                {issuertest.Set("sub", ""), mine, 401},
		"owner is a list":            {issuertest.Set("sub", []string{"ada"}), mine, 401},
	} {
		if got := s.ask("GET", test.target, i.Sign(t, i.Claims(test.change))); got.status != test.want {
			t.Errorf("%s: %d %s, want %d", name, got.status, got.body, test.want)
		}
	}
}

// TestForgedTokens: a token is refused unless the issuer has signed it with RS256.
func TestForgedTokens(t *testing.T) {
	t.Parallel()
	i := issuertest.New(t)
	s := newService(t, withJWT(i))
	s.apply(succeeded(t, "mine", "ada", "1"))
	cachetest.Eventually(t, "the keys are there", func() bool { return s.auth.Ready() == nil })
	mine := statusPath + machine + "mine"
	good := i.Sign(t, i.Claims())
	if got := s.ask("GET", mine, good); got.status != 200 {
		t.Fatalf("the control: %d %s", got.status, got.body)
	}
	head, rest, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	forged, err := jwt.NewWithClaims(jwt.SigningMethodRS256, i.Claims()).SignedString(other)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&i.Key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	encoded := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	bytesOfKey := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	hs := encoded(`{"alg":"HS256","kid":"one","typ":"JWT"}`) + "." + payload
	mac := hmac.New(sha256.New, bytesOfKey)
	mac.Write([]byte(hs))
	claims, err := json.Marshal(i.Claims(issuertest.Set("sub", "eve")))
	if err != nil {
		t.Fatal(err)
	}

	tokens := map[string]string{
		"alg none":              encoded(`{"alg":"none"}`) + "." + payload + ".",
		"alg None":              encoded(`{"alg":"None","kid":"one"}`) + "." + payload + "." + signature,
		"HS256 with the key":    hs + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)),
		"another key":           forged,
		"another key's kid":     i.Sign(t, i.Claims(), func(t *jwt.Token) { t.Header["kid"] = "two" }),
		"no kid":                i.Sign(t, i.Claims(), func(t *jwt.Token) { delete(t.Header, "kid") }),
		"kid is a number":       i.Sign(t, i.Claims(), func(t *jwt.Token) { t.Header["kid"] = 1 }),
		"other claims":          head + "." + encoded(string(claims)) + "." + signature,
		"no signature":          head + "." + payload + ".",
		"padding":               good + "=",
		"a space":               head + "." + payload + " ." + signature,
		"too large":             head + "." + payload + "." + signature + strings.Repeat("A", 7000),
		"four parts":            good + ".x",
		"not a token":           "abc",
		"RS512":                 resigned(t, i, jwt.SigningMethodRS512),
		"PS256":                 resigned(t, i, jwt.SigningMethodPS256),
		"a standard base64 set": head + "." + payload + "." + strings.NewReplacer("-", "+", "_", "/").Replace(signature) + "=",
	}
	// The last character of a signature of 256 bytes has bits that mean nothing.
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, good[len(good)-1])
	for bits := 1; bits < 16; bits++ {
		tokens[fmt.Sprintf("malleable %d", bits)] = good[:len(good)-1] + alphabet[last&^15|(last+bits)&15:][:1]
	}
	for name, token := range tokens {
		if got := s.ask("GET", mine, token); got.status != 401 {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	if log := s.log.String(); strings.Contains(log, signature) || strings.Contains(log, payload) {
		t.Error("a token is in the log")
	}
}

func resigned(t *testing.T, i *issuertest.Issuer, m jwt.SigningMethod) string {
	t.Helper()
	token := jwt.NewWithClaims(m, i.Claims())
	token.Header["kid"] = "one"
	text, err := token.SignedString(i.Key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestATokenIsCheckedAsSoonAsTheKeysAreThere: they cannot be fetched at first.
func TestATokenIsCheckedAsSoonAsTheKeysAreThere(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "many seconds")
	i := issuertest.New(t)
	i.Down.Store(true)
	s := newService(t, withJWT(i))
	s.apply(succeeded(t, "mine", "ada", "1"))
	token := i.Sign(t, i.Claims())
	if got := s.askOnce("GET", statusPath+machine+"mine", token); got.status != 503 {
		t.Errorf("a token that cannot be checked: %d %s", got.status, got.body)
	}
	ready := httptest.NewRecorder()
	s.Admin().ServeHTTP(ready, httptest.NewRequest("GET", "/readyz", nil))
	if ready.Code != 503 || !strings.Contains(ready.Body.String(), "signing keys") {
		t.Errorf("readyz: %d %s", ready.Code, ready.Body)
	}
	i.Down.Store(false)
	cachetest.Eventually(t, "the keys are fetched", func() bool { return s.ask("GET", statusPath+machine+"mine", token).status == 200 })
}

// TestStreamsAndWaitsEndWithTheKeyOfTheirToken: when the issuer removes a signing key, as when
// an API key is revoked.
func TestStreamsAndWaitsEndWithTheKeyOfTheirToken(t *testing.T) {
	t.Parallel()
	i := issuertest.New(t)
	s := newService(t, withJWT(i))
	e := running(t, "followed", "ada")
	s.apply(e)
	cachetest.Eventually(t, "the keys are there", func() bool { return s.auth.Ready() == nil })
	token := i.Sign(t, i.Claims())
	kept := s.open(asIs, statusPath+string(e.ARN), s.key("ada"))
	stream := s.open(asIs, statusPath+string(e.ARN), token)
	poll := s.later("GET", statusPath+string(e.ARN)+"?wait=3600", token)
	s.untilWaiting(3)
	other := issuertest.NewKey(t)
	i.ServeKey("two", &other.PublicKey)
	later := issuertest.SignWith(t, other, i.Claims(), issuertest.KeyID("two"))
	cachetest.Eventually(t, "the keys are fetched again", func() bool { return s.ask("GET", statusPath+string(e.ARN), later).status == 200 })
	for stream.next() != "" {
	}
	if got := <-poll; got.status != 401 || got.header.Get("WWW-Authenticate") != `Bearer error="invalid_token"` {
		t.Errorf("a poll that waits: %+v", got)
	}
	s.untilWaiting(1)
	if got := kept.next(); !strings.Contains(got, "RUNNING") {
		t.Errorf("the stream of an API key: %q", got)
	}
}

// TestTheReasonForARefusedTokenIsLogged: the metric and the log, at level debug, have the
// reason but never the token. The caller learns only that the token is not valid.
func TestTheReasonForARefusedTokenIsLogged(t *testing.T) {
	t.Parallel()
	i := issuertest.New(t)
	log := &cachetest.Log{}
	s := newService(t, withJWT(i), func(o *Options) {
		o.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	cachetest.Eventually(t, "the keys are there", func() bool { return s.auth.Ready() == nil })
	good := i.Sign(t, i.Claims())
	unknown := "csk_live_" + strings.Repeat("0123456789abcdef", 2)
	for name, test := range map[string]struct {
		token, reason, logged string
	}{
		"none":                  {"", "no_token", ""},
		"an API key":            {unknown, "unknown_api_key", "key=csk_live_01234567"},
		"no token at all":       {"abc", "malformed", ""},
		"another algorithm":     {resigned(t, i, jwt.SigningMethodRS512), "algorithm", "RS256"},
		"issuer with a slash":   {i.Sign(t, i.Claims(issuertest.Set("iss", i.URL+"/"))), "issuer", "slash at the end"},
		"another issuer":        {i.Sign(t, i.Claims(issuertest.Set("iss", "https://other"))), "issuer", "https://other"},
		"expired":               {i.Sign(t, i.Claims(issuertest.Set("exp", 1700000000))), "expired", "1.7e+09"},
		"without expiry":        {i.Sign(t, i.Claims(issuertest.Set("exp", nil))), "expired", ""},
		"not yet valid":         {i.Sign(t, i.Claims(issuertest.Set("nbf", time.Now().Add(time.Hour).Unix()))), "not_yet_valid", "nbf"},
		"an ID token":           {i.Sign(t, i.Claims(issuertest.Set("token_use", "id"))), "not_access_token", "token_use"},
		"the wrong client":      {i.Sign(t, i.Claims(issuertest.Set("client_id", "other"))), "client", "other"},
		"no owner":              {i.Sign(t, i.Claims(issuertest.Set("sub", nil))), "no_owner", "claim sub"},
		"no key id":             {i.Sign(t, i.Claims(), func(t *jwt.Token) { delete(t.Header, "kid") }), "no_key_id", ""},
		"an unknown key id":     {i.Sign(t, i.Claims(), func(t *jwt.Token) { t.Header["kid"] = "two" }), "unknown_key_id", "key=two"},
		"a signature of others": {good[:strings.LastIndexByte(good, '.')+1] + strings.Repeat("A", 342), "signature", "key=one"},
	} {
		counter := s.metrics.unauthorized.WithLabelValues(test.reason)
		before, logged := testutil.ToFloat64(counter), len(log.String())
		got := s.ask("GET", statusPath+machine+"x", test.token)
		challenge := `Bearer error="invalid_token"`
		if test.token == "" {
			challenge = "Bearer"
		}
		if got.status != 401 || got.header.Get("WWW-Authenticate") != challenge {
			t.Errorf("%s: %d %v", name, got.status, got.header)
		}
		if test.token != "" && !strings.Contains(got.body, `"message":"the token is not valid"`) {
			t.Errorf("%s: the caller gets %s", name, got.body)
		}
		if counted := testutil.ToFloat64(counter) - before; counted != 1 {
			t.Errorf("%s: counted %v times as %s", name, counted, test.reason)
		}
		lines := log.String()[logged:]
		if !strings.Contains(lines, "level=DEBUG") || !strings.Contains(lines, "reason="+test.reason) || !strings.Contains(lines, test.logged) {
			t.Errorf("%s: the log says %s", name, lines)
		}
		if len(test.token) > 20 && (strings.Contains(lines, test.token) || strings.Contains(lines, test.token[len(test.token)-20:])) {
			t.Errorf("%s: the token is in the log", name)
		}
	}
}
