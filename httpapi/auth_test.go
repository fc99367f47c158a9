package httpapi

import (
	"context"
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
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"statuscache/cache/apikeys"
	"statuscache/cache/cachetest"
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

// issuer is an identity provider with one signing key.
type issuer struct {
	*httptest.Server
	key  *rsa.PrivateKey
	down atomic.Bool
	body atomic.Pointer[string]
	asks atomic.Int64
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{key: key}
	i.serve("one", &key.PublicKey)
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i.asks.Add(1)
		if i.down.Load() {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		_, _ = fmt.Fprint(w, *i.body.Load())
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) serve(kid string, key *rsa.PublicKey) {
	body := jwks(kid, key)
	i.body.Store(&body)
}

func jwks(kid string, key *rsa.PublicKey) string {
	e := big.NewInt(int64(key.E)).Bytes()
	return fmt.Sprintf(`{"keys":[{"kty":"RSA","alg":"RS256","use":"sig","kid":%q,"n":%q,"e":%q}]}`, kid,
		base64.RawURLEncoding.EncodeToString(key.N.Bytes()), base64.RawURLEncoding.EncodeToString(e))
}

func (i *issuer) claims(change ...func(jwt.MapClaims)) jwt.MapClaims {
	now := time.Now()
	c := jwt.MapClaims{
		"sub": "ada", "username": "ada", "client_id": "app", "token_use": "access", "scope": "openid",
		"iss": i.URL, "exp": now.Add(time.Hour).Unix(), "iat": now.Unix(), "auth_time": now.Unix(), "jti": "1",
	}
	for _, f := range change {
		f(c)
	}
	return c
}

func (i *issuer) sign(t testing.TB, c jwt.MapClaims, change ...func(*jwt.Token)) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, c)
	token.Header["kid"] = "one"
	for _, f := range change {
		f(token)
	}
	text, err := token.SignedString(i.key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func withJWT(i *issuer) func(*Options) {
	return func(o *Options) {
		o.JWT = &JWT{Issuer: i.URL, ClientIDs: []string{"app"}, OwnerClaim: "sub", ScopePrefix: "status", OperatorGroups: []string{"ops"}}
		o.RateLimit = 0
	}
}

func set(name string, value any) func(jwt.MapClaims) {
	return func(c jwt.MapClaims) {
		if value == nil {
			delete(c, name)
			return
		}
		c[name] = value
	}
}

// TestAccessTokens: which tokens are good and which are not.
func TestAccessTokens(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	s := newService(t, withJWT(i))
	s.apply(succeeded(t, "mine", "ada", "1"), succeeded(t, "eves", "eve", "1"))
	mine, eves := statusPath+machine+"mine", statusPath+machine+"eves"
	cachetest.Eventually(t, "the keys are there", func() bool { return s.signingKeys.ready() == nil })

	for name, test := range map[string]struct {
		change func(jwt.MapClaims)
		target string
		want   int
	}{
		"own":                   {set("jti", "2"), mine, 200},
		"another's":             {set("jti", "2"), eves, 403},
		"operator by scope":     {set("scope", "openid status/read:all"), eves, 200},
		"operator by group":     {set("cognito:groups", []string{"x", "ops"}), eves, 200},
		"a scope that looks so": {set("scope", "xstatus/read:all status/read:all2 read:all"), eves, 403},
		"another group":         {set("cognito:groups", "ops"), eves, 403},
		"no exp":                {set("exp", nil), mine, 401},
		"expired":               {set("exp", time.Now().Add(-time.Minute).Unix()), mine, 401},
		"expired within leeway": {set("exp", time.Now().Add(-time.Second).Unix()), mine, 200},
		"not yet valid":         {set("nbf", time.Now().Add(5*time.Minute).Unix()), mine, 401},
		"an ID token":           {set("token_use", "id"), mine, 401},
		"no token_use":          {set("token_use", nil), mine, 401},
		"another client":        {set("client_id", "other"), mine, 401},
		"no client":             {set("client_id", nil), mine, 401},
		"another pool":          {set("iss", i.URL+"2"), mine, 401},
		"issuer with slash":     {set("iss", i.URL+"/"), mine, 401},
		"no issuer":             {set("iss", nil), mine, 401},
		"no owner":              {set("sub", nil), mine, 401},
		"empty owner":           {set("sub", ""), mine, 401},
		"owner is a list":       {set("sub", []string{"ada"}), mine, 401},
	} {
		if got := s.ask("GET", test.target, i.sign(t, i.claims(test.change))); got.status != test.want {
			t.Errorf("%s: %d %s, want %d", name, got.status, got.body, test.want)
		}
	}
}

// TestForgedTokens: what was not signed by the issuer, as RS256.
func TestForgedTokens(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	s := newService(t, withJWT(i))
	s.apply(succeeded(t, "mine", "ada", "1"))
	cachetest.Eventually(t, "the keys are there", func() bool { return s.signingKeys.ready() == nil })
	mine := statusPath + machine + "mine"
	good := i.sign(t, i.claims())
	if got := s.ask("GET", mine, good); got.status != 200 {
		t.Fatalf("the control: %d %s", got.status, got.body)
	}
	head, rest, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	forged, err := jwt.NewWithClaims(jwt.SigningMethodRS256, i.claims()).SignedString(other)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&i.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	encoded := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	bytesOfKey := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	hs := encoded(`{"alg":"HS256","kid":"one","typ":"JWT"}`) + "." + payload
	mac := hmac.New(sha256.New, bytesOfKey)
	mac.Write([]byte(hs))
	claims, err := json.Marshal(i.claims(set("sub", "eve")))
	if err != nil {
		t.Fatal(err)
	}

	tokens := map[string]string{
		"alg none":              encoded(`{"alg":"none"}`) + "." + payload + ".",
		"alg None":              encoded(`{"alg":"None","kid":"one"}`) + "." + payload + "." + signature,
		"HS256 with the key":    hs + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)),
		"another key":           forged,
		"another key's kid":     i.sign(t, i.claims(), func(t *jwt.Token) { t.Header["kid"] = "two" }),
		"no kid":                i.sign(t, i.claims(), func(t *jwt.Token) { delete(t.Header, "kid") }),
		"kid is a number":       i.sign(t, i.claims(), func(t *jwt.Token) { t.Header["kid"] = 1 }),
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

func resigned(t *testing.T, i *issuer, m jwt.SigningMethod) string {
	t.Helper()
	token := jwt.NewWithClaims(m, i.claims())
	token.Header["kid"] = "one"
	text, err := token.SignedString(i.key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestVerifiedTokenIsForgotten(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	keys := newKeySet(i.URL, slog.New(slog.DiscardHandler))
	if err := keys.fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	tokens := newTokens(JWT{Issuer: i.URL, ClientIDs: []string{"app"}, OwnerClaim: "sub", ScopePrefix: "status"}, keys)
	tokens.now = func() time.Time { return now }
	token := i.sign(t, i.claims(set("exp", now.Add(10*time.Second).Unix())))
	if _, err := tokens.verify(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	now = now.Add(9 * time.Second)
	i.key = nil // nothing can be verified any more: what passes was remembered
	if _, err := tokens.verify(t.Context(), token); err != nil {
		t.Errorf("before it expires: %v", err)
	}
	hit, _ := tokens.verified.Get(sha256.Sum256([]byte(token)))
	if !hit.until.Before(time.Now().Add(11 * time.Second)) {
		t.Errorf("remembered until %v, past its expiry", hit.until)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i.serve("one", &other.PublicKey) // the key is removed
	if err := keys.fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.verify(t.Context(), token); err == nil {
		t.Error("a token of a key that is gone was remembered")
	}
}

// TestKeysOfTheIssuer: they cannot be fetched at first, later, or the set is empty.
func TestKeysOfTheIssuer(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.down.Store(true)
	s := newService(t, withJWT(i))
	s.apply(succeeded(t, "mine", "ada", "1"))
	token := i.sign(t, i.claims())
	if got := s.askOnce("GET", statusPath+machine+"mine", token); got.status != 503 {
		t.Errorf("a token that cannot be checked: %d %s", got.status, got.body)
	}
	ready := httptest.NewRecorder()
	s.Admin().ServeHTTP(ready, httptest.NewRequest("GET", "/readyz", nil))
	if ready.Code != 503 || !strings.Contains(ready.Body.String(), "signing keys") {
		t.Errorf("readyz: %d %s", ready.Code, ready.Body)
	}
	i.down.Store(false)
	if err := s.signingKeys.fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	for what, body := range map[string]string{"empty": `{"keys":[]}`, "no JSON": `<html>`, "no RSA key": `{"keys":[{"kty":"EC","kid":"x"}]}`} {
		i.body.Store(&body)
		if err := s.signingKeys.fetch(t.Context()); err == nil {
			t.Errorf("%s: taken", what)
		}
		if got := s.ask("GET", statusPath+machine+"mine", token); got.status != 200 {
			t.Errorf("%s: the last good keys are gone: %d", what, got.status)
		}
	}
}

// TestKeysAreNotAskedForTooOften runs the loop in a bubble of time.
func TestKeysAreNotAskedForTooOften(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		var asks atomic.Int64
		keys := newKeySet("http://issuer", slog.New(slog.DiscardHandler))
		keys.client.Transport = roundTrip(func(*http.Request) (*http.Response, error) {
			asks.Add(1)
			w := httptest.NewRecorder()
			_, _ = w.WriteString(jwks("one", &key.PublicKey))
			return w.Result(), nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		go func() { _ = keys.run(ctx) }()
		synctest.Wait()
		if asks.Load() != 1 || keys.ready() != nil {
			t.Fatalf("%d asks at the start", asks.Load())
		}
		for ctx.Err() == nil { // somebody who makes up key ids
			if _, err := keys.find(ctx, "unknown"); err == nil {
				t.Fatal("found")
			}
			<-time.After(100 * time.Millisecond)
		}
		if n := asks.Load(); n < 2 || n > int64(time.Minute/keysMinPause)+1 {
			t.Errorf("%d asks within a minute", n)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
