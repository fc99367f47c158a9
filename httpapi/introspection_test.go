package httpapi

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"statuscache/cache/apikeys"
	"statuscache/cache/cachetest"
	"statuscache/httpapi/auth"
	"statuscache/httpapi/issuertest"
)

// platform is an introspection endpoint.
type platform struct {
	t   *testing.T
	url string

	mu     sync.Mutex
	tokens map[string]map[string]any // the answers; none: not active
	status int                       // of every answer, if not 0
	asked  map[string]int
}

func newPlatform(t *testing.T) *platform {
	t.Helper()
	p := &platform{t: t, tokens: map[string]map[string]any{}, asked: map[string]int{}}
	server := httptest.NewServer(http.HandlerFunc(p.answer))
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

func (p *platform) answer(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	token := r.PostFormValue("token")
	if r.Method != http.MethodPost || id != "status+service" || secret != "s3cret%3A" || r.PostFormValue("token_type_hint") != "access_token" {
		p.t.Errorf("asked by %s with %q %q", r.Method, id, secret)
	}
	p.mu.Lock()
	p.asked[token]++
	status, said := p.status, p.tokens[token]
	p.mu.Unlock()
	if status != 0 {
		w.WriteHeader(status)
		return
	}
	if said == nil {
		said = map[string]any{"active": false}
	}
	_ = json.NewEncoder(w).Encode(said)
}

func (p *platform) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

func (p *platform) times(token string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[token]
}

func withPlatform(p *platform) func(*Options) {
	return func(o *Options) {
		o.Introspection = &auth.Introspection{
			URL: p.url, ClientID: "status service", Secret: func() (string, error) { return "s3cret:", nil },
			OwnerClaim: "sub", ScopePrefix: "status", Limit: time.Minute, // on a busy machine, an answer may take long
		}
	}
}

// TestIntrospectedTokens: the answer of the endpoint decides. Each token is sent to it once for
// all callers. The service checks the other kinds of tokens itself.
func TestIntrospectedTokens(t *testing.T) {
	t.Parallel()
	p, i := newPlatform(t), issuertest.New(t)
	s := newService(t, withJWT(i), withPlatform(p))
	mine, others := running(t, "mine", "ada"), running(t, "others", "eve")
	s.apply(mine)
	s.apply(others)
	cachetest.Eventually(t, "the keys are there", func() bool { return s.auth.Ready() == nil })
	soon, past := time.Now().Add(time.Hour).Unix(), time.Now().Add(-time.Minute).Unix()
	const short, long = "opaque", "opaque-and-long-enough-for-a-key"
	for name, test := range map[string]struct {
		said         map[string]any
		mine, others int
	}{
		"an owner":           {map[string]any{"active": true, "sub": "ada", "exp": soon, "token_type": "bearer"}, 200, 403},
		"without expiry":     {map[string]any{"active": true, "sub": "ada"}, 200, 403},
		"an operator":        {map[string]any{"active": true, "sub": "op", "scope": "x status/read:all"}, 200, 200},
		"another prefix":     {map[string]any{"active": true, "sub": "op", "scope": "other/read:all read:all"}, 403, 403},
		"not active":         {map[string]any{"active": false, "sub": "ada"}, 401, 401},
		"active as a text":   {map[string]any{"active": "true", "sub": "ada"}, 503, 503},
		"nothing":            {map[string]any{}, 401, 401},
		"without owner":      {map[string]any{"active": true, "exp": soon}, 401, 401},
		"expired":            {map[string]any{"active": true, "sub": "ada", "exp": past}, 401, 401},
		"not yet valid":      {map[string]any{"active": true, "sub": "ada", "nbf": soon}, 401, 401},
		"an ID token":        {map[string]any{"active": true, "sub": "ada", "token_use": "id"}, 401, 401},
		"bound to a key":     {map[string]any{"active": true, "sub": "ada", "cnf": map[string]any{"jkt": "x"}}, 401, 401},
		"of another type":    {map[string]any{"active": true, "sub": "ada", "token_type": "DPoP"}, 401, 401},
		"an owner as number": {map[string]any{"active": true, "sub": 7}, 401, 401},
	} {
		for _, token := range []string{short, long} {
			token += "-" + strings.ReplaceAll(name, " ", "-")
			p.set(func() { p.tokens[token] = test.said })
			cachetest.Eventually(t, name+": the pause after an answer that was none is over", func() bool {
				return test.mine == 503 || s.ask("GET", statusPath+string(mine.ARN), token).status != 503
			})
			if got := s.ask("GET", statusPath+string(mine.ARN), token); got.status != test.mine {
				t.Errorf("%s: %s: %d %s", name, token, got.status, got.body)
			}
			if got := s.ask("GET", statusPath+string(others.ARN), token); got.status != test.others {
				t.Errorf("%s: %s: %d of others", name, token, got.status)
			}
			if test.mine == 503 && s.ask("GET", statusPath+string(mine.ARN), token).header.Get("Retry-After") == "" {
				t.Errorf("%s: no Retry-After", name)
			}
		}
	}
	for token, want := range map[string]int{s.key("ada"): 200, i.Sign(t, i.Claims(issuertest.Set("sub", "ada"))): 200, "eyJhbGciOiJSUzI1NiJ9.e30.c2ln": 401, "csk_live_0123456789abcdef0123456789abcdef": 401} {
		if got := s.ask("GET", statusPath+string(mine.ARN), token); got.status != want || p.times(token) != 0 {
			t.Errorf("%.20s…: %d, and the platform was asked %d times", token, got.status, p.times(token))
		}
	}
}

// TestAnIntrospectionEndpointThatDoesNotAnswer: callers get 503 and never 401. The service does
// not remember errors for long, and logs the reason without the token.
func TestAnIntrospectionEndpointThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	p := newPlatform(t)
	log := &cachetest.Log{}
	s := newService(t, withPlatform(p), func(o *Options) { o.Log = slog.New(slog.NewTextHandler(log, nil)) })
	e := running(t, "mine", "ada")
	s.apply(e)
	p.set(func() { p.status, p.tokens["the-token"] = 500, map[string]any{"active": true, "sub": "ada"} })
	for _, status := range []int{500, 401, 302} {
		p.set(func() { p.status = status })
		if got := s.ask("GET", statusPath+string(e.ARN), "the-token"); got.status != 503 || got.header.Get("Retry-After") == "" {
			t.Errorf("%d: %d %v", status, got.status, got.header)
		}
	}
	p.set(func() { p.status = 0 })
	cachetest.Eventually(t, "it is asked again", func() bool { return s.ask("GET", statusPath+string(e.ARN), "the-token").status == 200 })
	if text := log.String(); !strings.Contains(text, "AUTH_INTROSPECTION_URL") || strings.Contains(text, "the-token") || strings.Contains(text, "s3cret") {
		t.Errorf("the log: %s", text)
	}
	_, err := s.auth.Authenticate(t.Context(), []string{"Bearer with\ttab"})
	if err == nil || p.times("with\ttab") != 0 || errors.Is(err, apikeys.ErrNotFound) {
		t.Errorf("what is not printable: %v", err)
	}
}

// TestAStreamEndsWithAnIntrospectedToken that is revoked there.
func TestAStreamEndsWithAnIntrospectedToken(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "half a minute")
	p := newPlatform(t)
	s := newService(t, withPlatform(p))
	e := running(t, "mine", "ada")
	s.apply(e)
	p.set(func() { p.tokens["good"] = map[string]any{"active": true, "sub": "ada"} })
	stream := s.open(asIs, statusPath+string(e.ARN), "good")
	if got := stream.next(); !strings.Contains(got, "RUNNING") {
		t.Fatalf("%q", got)
	}
	p.set(func() { delete(p.tokens, "good") })
	for stream.next() != "" {
	}
	s.untilWaiting(0)
	if got := s.ask("GET", statusPath+string(e.ARN), "good"); got.status != 401 || p.times("good") < 2 {
		t.Errorf("%d, asked %d times", got.status, p.times("good"))
	}
}
