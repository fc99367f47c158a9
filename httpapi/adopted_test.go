package httpapi

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"statuscache/cache/apikeys"
	"statuscache/cache/cachetest"
	"statuscache/httpapi/issuertest"
)

// TestKeysOfAnotherSystemAuthenticate: until they are revoked, they work everywhere like our
// own API keys. A token that looks like a JWT is still checked as a JWT.
func TestKeysOfAnotherSystemAuthenticate(t *testing.T) {
	t.Parallel()
	i := issuertest.New(t)
	s := newService(t, withJWT(i))
	e := running(t, "foreign", "ada")
	s.apply(e)
	secrets := []string{
		"0123456789abcdefghij", "sk_live.a1b2.c3d4-_~+/=!{}|", "6f1c2f0e-6d2b-4b7e-9f0d-0c8f9c0f1a2b",
		"ey-begins-like-a-JWT-but-has-no-parts", strings.Repeat("k", apikeys.MaxSecret),
	}
	var foreign []apikeys.Foreign
	for _, secret := range secrets {
		foreign = append(foreign, apikeys.Foreign{Key: apikeys.Key{Owner: "ada", Name: "old", Scope: apikeys.ScopeRead}, Secret: secret})
	}
	adopted, _, err := s.keys.Adopt(t.Context(), foreign)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range secrets {
		if got := s.ask("GET", statusPath+string(e.ARN), secret); got.status != 200 {
			t.Errorf("%s: %d %s", secret, got.status, got.body)
		}
	}
	if got := s.ask("GET", statusPath+string(e.ARN), strings.ToUpper(secrets[0])); got.status != 401 {
		t.Errorf("another secret: %d", got.status)
	}
	stream := s.open(asIs, statusPath+string(e.ARN), secrets[0])
	if got := stream.next(); !strings.Contains(got, "RUNNING") {
		t.Errorf("a stream: %q", got)
	}
	if _, err := s.keys.Revoke(t.Context(), adopted[0].Key.Prefix); err != nil {
		t.Fatal(err)
	}
	for stream.next() != "" {
	}
	cachetest.Eventually(t, "a revoked one is refused", func() bool { return s.ask("GET", statusPath+string(e.ARN), secrets[0]).status == 401 })
	unknown := s.metrics.unauthorized.WithLabelValues("unknown_api_key")
	before := testutil.ToFloat64(unknown)
	if got := s.ask("GET", statusPath+string(e.ARN), "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"); got.status != 401 || testutil.ToFloat64(unknown) != before {
		t.Errorf("a JWT: %d, and it is looked up as an API key", got.status)
	}
}

// countingKeys counts how often a token is looked up.
type countingKeys struct {
	*apikeys.Keys
	found atomic.Int64
}

func (c *countingKeys) Find(ctx context.Context, secret string) (*apikeys.Key, error) {
	c.found.Add(1)
	return c.Keys.Find(ctx, secret)
}

// TestGarbageIsNotLookedUp: a token that cannot be a key is not looked up, and any other token
// once. The log has no part of a token that may be a key.
func TestGarbageIsNotLookedUp(t *testing.T) {
	t.Parallel()
	counting := &countingKeys{}
	s := newService(t, func(o *Options) {
		counting.Keys = o.Keys.(*apikeys.Keys)
		o.Keys = counting
	})
	for token, want := range map[string]int64{
		"tooshort": 0, strings.Repeat("x", apikeys.MaxSecret+1): 0, "eyJhbGciOiJSUzI1NiJ9.e30.c2ln": 0, strings.Repeat("ü", 30): 0, "csl_no-link-at-all-either": 0,
		"unknown-but-long-enough": 1, "csk_live_0123456789abcdef0123456789abcdef": 1,
	} {
		before := counting.found.Load()
		if got := s.ask("GET", statusPath+machine+"x", token); got.status != 401 {
			t.Errorf("%s: %d", token, got.status)
		}
		if n := counting.found.Load() - before; n != want {
			t.Errorf("%s: looked up %d times", token, n)
		}
	}
	if strings.Contains(s.log.String(), "unknown-but") {
		t.Error("the log has a part of a token")
	}
}
