package auth

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

	"statuscache/httpapi/internal/envelope"
	"statuscache/httpapi/issuertest"
)

// rotating is an issuer that changes its keys, and the code that verifies its tokens, in a
// bubble of time.
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

// newSigners makes the keys once for all tests, because each takes long.
var newSigners = sync.OnceValues(func() (map[string]*rsa.PrivateKey, error) {
	signers := map[string]*rsa.PrivateKey{}
	for _, id := range []string{"k1", "k2", "k3", "forged"} {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err
		}
		signers[id] = key
	}
	return signers, nil
})

// inBubble runs a test with an issuer that begins with the key k1.
func inBubble(t *testing.T, test func(*rotating)) {
	t.Helper()
	signers, err := newSigners()
	if err != nil {
		t.Fatal(err)
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
		sets = append(sets, strings.TrimSuffix(strings.TrimPrefix(issuertest.JWKS(id, &i.signers[id].PublicKey), `{"keys":[`), `]}`))
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

// token returns a token that was signed with one key and names another.
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
	p := envelope.ErrorOf(err)
	if p.Status == http.StatusServiceUnavailable && p.RetryAfter <= 0 {
		i.t.Error("503 without Retry-After")
	}
	return p.Status, took
}

// untilGood tries a token again, as a client does, until it is accepted, and returns how long
// that took. The token must not be refused meanwhile.
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

func TestTheFirstTokenOfANewKeyIsAccepted(t *testing.T) {
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
			i.t.Errorf("a token of a removed key: %d", status)
		}
	})
}

// TestAFloodOfUnknownKeysDelaysNobody: a flood of tokens with unknown keys does not delay the
// first token of a new key, whether its claims are valid or not.
func TestAFloodOfUnknownKeysDelaysNobody(t *testing.T) {
	t.Parallel()
	for name, plausible := range map[string]bool{"valid claims": true, "wrong claims": false} {
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

// TestAnUnknownKeyIsRefusedOnceTheIssuerWasAsked: until then callers get 503.
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
				i.t.Errorf("%s, later gone: a token with an unknown key cannot be checked: %d", name, status)
			}
			if status, _ := i.verify(i.token("k1", "k1", issuertest.Set("jti", "2"))); status != 200 {
				i.t.Errorf("%s, later gone: a known key: %d", name, status)
			}
		})
	}
}

// TestAKeyThatTheIssuerRemovesIsRefusedWithinFiveMinutes: also for a token that was verified
// before the removal and is remembered.
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

// TestTheLogSaysWhenKeysCannotBeFetched: at the beginning, now and then while it lasts, and at
// the end.
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
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprint(w, issuertest.JWKS("one", &key.PublicKey))
		})
	}
	usual, other := issuer.URL+"/.well-known/jwks.json", issuer.URL+"/other"
	for name, test := range map[string]struct {
		settings      JWT
		named, keysAt string
		problem, fix  string // of the one fault; empty: there is none
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
		if len(faults) != 1 || !strings.Contains(faults[0].Problem, test.problem) || !strings.Contains(faults[0].Fix, test.fix) {
			t.Errorf("%s: %+v", name, faults)
		}
	}
}
