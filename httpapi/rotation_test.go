package httpapi

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"statuscache/cache/cachetest"
)

// rotating is an issuer in a bubble of time, which changes its keys, and who
// verifies its tokens.
type rotating struct {
	t       *testing.T
	signers map[string]*rsa.PrivateKey
	mu      sync.Mutex
	serving []string // key ids
	down    bool
	slow    time.Duration // an answer takes
	asks    atomic.Int64
	keys    *keySet
	tokens  *tokens
}

// inBubble runs a test with an issuer that begins with the key k1.
func inBubble(t *testing.T, test func(*rotating)) {
	t.Helper()
	signers := map[string]*rsa.PrivateKey{}
	for _, id := range []string{"k1", "k2", "k3", "forged"} {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		signers[id] = key
	}
	synctest.Test(t, func(t *testing.T) {
		i := &rotating{t: t, signers: signers, serving: []string{"k1"}}
		i.keys = newKeySet("http://issuer", slog.New(slog.DiscardHandler))
		i.keys.client.Transport = roundTrip(i.answer)
		i.tokens = newTokens(JWT{Issuer: "http://issuer", ClientIDs: []string{"app"}, OwnerClaim: "sub", ScopePrefix: "status"}, i.keys)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = i.keys.run(ctx)
		}()
		synctest.Wait()
		test(i)
		cancel()
		<-ended
	})
}

func (i *rotating) answer(r *http.Request) (*http.Response, error) {
	i.asks.Add(1)
	i.mu.Lock()
	serving, down, slow := i.serving, i.down, i.slow
	i.mu.Unlock()
	select {
	case <-time.After(slow):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if down {
		return nil, errors.New("down")
	}
	var sets []string
	for _, id := range serving {
		sets = append(sets, strings.TrimSuffix(strings.TrimPrefix(jwks(id, &i.signers[id].PublicKey), `{"keys":[`), `]}`))
	}
	w := httptest.NewRecorder()
	_, _ = w.WriteString(`{"keys":[` + strings.Join(sets, ",") + `]}`)
	return w.Result(), nil
}

// change changes what the issuer does.
func (i *rotating) change(f func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	f()
}

func (i *rotating) rotate(ids ...string) { i.change(func() { i.serving = ids }) }

// token is a token that was signed with a key, and says that it was with another.
func (i *rotating) token(signer, id string, change ...func(jwt.MapClaims)) string {
	claims := jwt.MapClaims{
		"sub": "ada", "client_id": "app", "token_use": "access", "iss": "http://issuer", "exp": time.Now().Add(time.Hour).Unix(),
	}
	for _, f := range change {
		f(claims)
	}
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	token.Header["kid"] = id
	text, err := token.SignedString(i.signers[signer])
	if err != nil {
		i.t.Fatal(err)
	}
	return text
}

// verify returns the status that the token gets, 200 for a good one, and how long
// that took.
func (i *rotating) verify(token string) (status int, took time.Duration) {
	begun := time.Now()
	_, err := i.tokens.verify(i.t.Context(), token)
	took = time.Since(begun)
	if err == nil {
		return http.StatusOK, took
	}
	p := problemOf(err)
	if p.status == http.StatusServiceUnavailable && p.retryAfter <= 0 {
		i.t.Error("503 without Retry-After")
	}
	return p.status, took
}

// untilGood asks as a client does until the token is good, and returns how long
// that took. It must not be refused meanwhile.
func (i *rotating) untilGood(what, token string) time.Duration {
	begun := time.Now()
	for {
		status, took := i.verify(token)
		switch {
		case status == http.StatusOK:
			return time.Since(begun)
		case status != http.StatusServiceUnavailable:
			i.t.Errorf("%s: %d after %v", what, status, time.Since(begun))
			return 0
		case took > keyWait:
			i.t.Errorf("%s: it took %v to say 503", what, took)
		case time.Since(begun) > time.Minute:
			i.t.Errorf("%s: 503 for a minute", what)
			return 0
		}
		<-time.After(500 * time.Millisecond)
	}
}

func TestTheFirstTokenOfANewKeyIsGood(t *testing.T) {
	t.Parallel()
	inBubble(t, func(i *rotating) {
		if status, _ := i.verify(i.token("k1", "k1")); status != 200 {
			i.t.Fatalf("the control: %d", status)
		}
		<-time.After(12 * time.Second)
		i.rotate("k1", "k2")
		if status, _ := i.verify(i.token("k2", "k2")); status != 200 {
			i.t.Errorf("the first token of a new key: %d", status)
		}
		i.rotate("k2", "k3") // at once again: the keys were fetched a moment ago
		if took := i.untilGood("a second change", i.token("k3", "k3")); took > 2*keysMinPause {
			i.t.Errorf("a second change: good after %v", took)
		}
		if status, _ := i.verify(i.token("k1", "k1")); status != 401 {
			i.t.Errorf("a token of a key that is gone: %d", status)
		}
	})
}

// TestAFloodOfUnknownKeysDelaysNobody: neither tokens that are no good anyway nor
// those that could be.
func TestAFloodOfUnknownKeysDelaysNobody(t *testing.T) {
	t.Parallel()
	for name, plausible := range map[string]bool{"that may be good": true, "that are no good anyway": false} {
		inBubble(t, func(i *rotating) {
			ctx, stop := context.WithCancel(i.t.Context())
			var flood sync.WaitGroup
			for n := range 200 {
				token := i.token("forged", fmt.Sprint("made up ", n), func(c jwt.MapClaims) {
					if !plausible {
						c["client_id"] = "other"
					}
				})
				flood.Go(func() {
					for ctx.Err() == nil {
						if status, took := i.verify(token); status == 200 || took > keyWait {
							i.t.Errorf("%s: %d after %v", name, status, took)
						}
						<-time.After(100 * time.Millisecond)
					}
				})
			}
			<-time.After(11 * time.Second)
			asked := i.asks.Load()
			i.rotate("k2")
			if took := i.untilGood(name, i.token("k2", "k2")); took > 2*keysMinPause {
				i.t.Errorf("%s: good after %v", name, took)
			}
			if most := int64(11*time.Second/keysMinPause) + 1; plausible && asked > most || !plausible && asked > 1 {
				i.t.Errorf("%s: the issuer was asked %d times in 11 s", name, asked)
			}
			stop()
			flood.Wait()
		})
	}
}

// TestAnUnknownKeyIsRefusedOnceTheIssuerWasAsked: and until then it is not known.
func TestAnUnknownKeyIsRefusedOnceTheIssuerWasAsked(t *testing.T) {
	t.Parallel()
	for name, slow := range map[string]time.Duration{"a quick issuer": 0, "a slow issuer": time.Second} {
		inBubble(t, func(i *rotating) {
			<-time.After(5 * time.Second)
			i.change(func() { i.slow = slow })
			token, begun := i.token("forged", "forged"), time.Now()
			for status := 0; status != 401; {
				if status, _ = i.verify(token); status != 503 && status != 401 || time.Since(begun) > 10*time.Second {
					i.t.Fatalf("%s: %d after %v", name, status, time.Since(begun))
				}
				<-time.After(250 * time.Millisecond)
			}
			i.change(func() { i.down = true })
			<-time.After(lackedFor + keysMinPause)
			if status, _ := i.verify(token); status != 503 {
				i.t.Errorf("%s, later gone: an unknown key cannot be judged: %d", name, status)
			}
			if status, _ := i.verify(i.token("k1", "k1", set("jti", "2"))); status != 200 {
				i.t.Errorf("%s, later gone: a known key: %d", name, status)
			}
		})
	}
}

// TestAKeyThatTheIssuerRemovesIsRefusedWithinFiveMinutes: also for a token that was
// verified before and is remembered.
func TestAKeyThatTheIssuerRemovesIsRefusedWithinFiveMinutes(t *testing.T) {
	t.Parallel()
	inBubble(t, func(i *rotating) {
		<-time.After(time.Second)
		i.rotate("k2")
		token, begun := i.token("k1", "k1"), time.Now()
		for status := 200; status != 401; status, _ = i.verify(token) {
			if time.Since(begun) > 5*time.Minute || status != 200 {
				i.t.Fatalf("%d after %v", status, time.Since(begun))
			}
			<-time.After(time.Second)
		}
		if asks := i.asks.Load(); asks > 3 {
			i.t.Errorf("the issuer was asked %d times", asks)
		}
	})
	inBubble(t, func(i *rotating) { // as soon as any fetch shows it
		<-time.After(keysMinPause)
		token := i.token("k1", "k1")
		if status, _ := i.verify(token); status != 200 {
			i.t.Fatalf("the control: %d", status)
		}
		i.rotate("k2")
		if status, _ := i.verify(i.token("k2", "k2")); status != 200 {
			i.t.Fatalf("the new key: %d", status)
		}
		if status, took := i.verify(token); status != 401 || took > 0 {
			i.t.Errorf("it is remembered: %d after %v", status, took)
		}
	})
}

// TestTheLogSaysWhenKeysCannotBeFetched: once, now and then while it lasts, and when
// it is over.
func TestTheLogSaysWhenKeysCannotBeFetched(t *testing.T) {
	t.Parallel()
	inBubble(t, func(i *rotating) {
		var log bytes.Buffer
		i.keys.log = slog.New(slog.NewTextHandler(&log, nil))
		i.change(func() { i.down = true })
		<-time.After(9 * time.Minute)
		i.change(func() { i.down = false })
		<-time.After(30 * time.Second)
		synctest.Wait()
		if warned := strings.Count(log.String(), "level=WARN"); warned < 4 || warned > 9 || strings.Count(log.String(), "fetched again") != 1 {
			i.t.Errorf("the log: %s", &log)
		}
	})
}

// TestStreamsAndWaitsEndWithTheKeyOfTheirToken: as those of a revoked API key do.
func TestStreamsAndWaitsEndWithTheKeyOfTheirToken(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	s := newService(t, withJWT(i))
	e := running(t, "followed", "ada")
	s.apply(e)
	cachetest.Eventually(t, "the keys are there", func() bool { return s.signingKeys.ready() == nil })
	token := i.sign(t, i.claims())
	kept := s.open(asIs, statusPath+string(e.ARN), s.key("ada"))
	stream := s.open(asIs, statusPath+string(e.ARN), token)
	poll := s.later("GET", statusPath+string(e.ARN)+"?wait=25", token)
	s.untilWaiting(3)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i.serve("two", &other.PublicKey)
	if err := s.signingKeys.fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
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

// TestOperatorsLearnWhyATokenIsRefused: by the metric and at debug in the log, and
// never with the token. The caller is told no more than that it is not valid.
func TestOperatorsLearnWhyATokenIsRefused(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	log := &lockedLog{}
	s := newService(t, withJWT(i), func(o *Options) {
		o.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	cachetest.Eventually(t, "the keys are there", func() bool { return s.signingKeys.ready() == nil })
	good := i.sign(t, i.claims())
	unknown := "csk_live_" + strings.Repeat("0123456789abcdef", 2)
	for name, test := range map[string]struct {
		token, reason, logged string
	}{
		"none":                  {"", noToken, ""},
		"an API key":            {unknown, unknownKey, "key=csk_live_01234567"},
		"no token at all":       {"abc", malformedToken, ""},
		"another algorithm":     {resigned(t, i, jwt.SigningMethodRS512), wrongAlgorithm, "RS256"},
		"issuer with a slash":   {i.sign(t, i.claims(set("iss", i.URL+"/"))), wrongIssuer, "slash at the end"},
		"another issuer":        {i.sign(t, i.claims(set("iss", "https://other"))), wrongIssuer, "https://other"},
		"expired":               {i.sign(t, i.claims(set("exp", 1700000000))), expiredToken, "1.7e+09"},
		"without expiry":        {i.sign(t, i.claims(set("exp", nil))), expiredToken, ""},
		"not yet valid":         {i.sign(t, i.claims(set("nbf", time.Now().Add(time.Hour).Unix()))), tokenNotYet, "nbf"},
		"an ID token":           {i.sign(t, i.claims(set("token_use", "id"))), notAccessToken, "token_use"},
		"the wrong client":      {i.sign(t, i.claims(set("client_id", "other"))), wrongClient, "other"},
		"no owner":              {i.sign(t, i.claims(set("sub", nil))), noOwner, "claim sub"},
		"no key id":             {i.sign(t, i.claims(), func(t *jwt.Token) { delete(t.Header, "kid") }), noKeyID, ""},
		"an unknown key id":     {i.sign(t, i.claims(), func(t *jwt.Token) { t.Header["kid"] = "two" }), unknownSigner, "key=two"},
		"a signature of others": {good[:strings.LastIndexByte(good, '.')+1] + strings.Repeat("A", 342), badSignature, "key=one"},
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
			t.Errorf("%s: the caller is told %s", name, got.body)
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

func TestAnIssuerIsCheckedAgainstTheSettings(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	var named, keysAt string // what the issuer says of itself
	mux := http.NewServeMux()
	issuer := httptest.NewServer(mux)
	t.Cleanup(issuer.Close)
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		if named == "" {
			http.NotFound(w, r)
			return
		}
		_, _ = fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, named, keysAt)
	})
	for _, path := range []string{"/.well-known/jwks.json", "/other"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, jwks("one", &key.PublicKey)) })
	}
	usual, other := issuer.URL+"/.well-known/jwks.json", issuer.URL+"/other"
	for name, test := range map[string]struct {
		settings      JWT
		named, keysAt string
		problem, cure string // of the one fault; empty: there is none
	}{
		"all agrees":                   {JWT{Issuer: issuer.URL}, issuer.URL, usual, "", ""},
		"with a slash on both sides":   {JWT{Issuer: issuer.URL + "/"}, issuer.URL + "/", usual, "", ""},
		"no discovery document":        {JWT{Issuer: issuer.URL}, "", "", "", ""},
		"the issuer has a slash":       {JWT{Issuer: issuer.URL}, issuer.URL + "/", usual, "slash at the end", "set JWT_ISSUER=" + issuer.URL + "/"},
		"the setting has a slash":      {JWT{Issuer: issuer.URL + "/"}, issuer.URL, usual, "slash at the end", "set JWT_ISSUER=" + issuer.URL},
		"another name":                 {JWT{Issuer: issuer.URL}, "https://other", usual, "https://other", "set JWT_ISSUER=https://other"},
		"keys elsewhere, and set":      {JWT{Issuer: issuer.URL, JWKSURL: other}, issuer.URL, other, "", ""},
		"keys elsewhere":               {JWT{Issuer: issuer.URL}, issuer.URL, other, other, "set JWT_JWKS_URL=" + other},
		"no keys where they should be": {JWT{Issuer: issuer.URL, JWKSURL: issuer.URL + "/none"}, issuer.URL, usual, "404", "set JWT_JWKS_URL=" + usual},
		"no keys, and nothing said":    {JWT{Issuer: issuer.URL, JWKSURL: issuer.URL + "/none"}, "", "", "404", "JWT_ISSUER"},
	} {
		named, keysAt = test.named, test.keysAt
		faults := CheckIssuer(t.Context(), issuer.Client(), test.settings)
		if test.problem == "" {
			if len(faults) > 0 {
				t.Errorf("%s: %+v", name, faults)
			}
			continue
		}
		if len(faults) != 1 || !strings.Contains(faults[0].Problem, test.problem) || !strings.Contains(faults[0].Cure, test.cure) {
			t.Errorf("%s: %+v", name, faults)
		}
	}
}
