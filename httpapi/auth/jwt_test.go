package auth

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"statuscache/httpapi/issuertest"
)

func TestVerifiedTokenIsForgotten(t *testing.T) {
	t.Parallel()
	i := issuertest.New(t)
	keys := newKeySet(i.URL, slog.New(slog.DiscardHandler))
	if err := keys.fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	tokens := newTokens(JWT{Issuer: i.URL, ClientIDs: []string{"app"}, OwnerClaim: "sub", ScopePrefix: "status"}, keys)
	tokens.now = func() time.Time { return now }
	token := i.Sign(t, i.Claims(issuertest.Set("exp", now.Add(10*time.Second).Unix())))
	if _, err := tokens.verify(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	now = now.Add(9 * time.Second)
	i.Key = nil // no token can be verified any more: one that passes was remembered
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
	i.ServeKey("one", &other.PublicKey) // the key is removed
	if err := keys.fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.verify(t.Context(), token); err == nil {
		t.Error("a token of a removed key was remembered")
	}
}

// TestKeysAreNotFetchedTooOften runs the loop in a bubble of time.
func TestKeysAreNotFetchedTooOften(t *testing.T) {
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
			_, _ = w.WriteString(issuertest.JWKS("one", &key.PublicKey))
			return w.Result(), nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		go func() { _ = keys.run(ctx) }()
		synctest.Wait()
		if asks.Load() != 1 || keys.ready() != nil {
			t.Fatalf("%d asks at the start", asks.Load())
		}
		for ctx.Err() == nil { // a client that invents key ids
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

// TestAUselessKeySetChangesNothing: the last keys stay.
func TestAUselessKeySetChangesNothing(t *testing.T) {
	t.Parallel()
	i := issuertest.New(t)
	keys := newKeySet(i.URL, slog.New(slog.DiscardHandler))
	if err := keys.fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	for what, body := range map[string]string{"empty": `{"keys":[]}`, "no JSON": `<html>`, "no RSA key": `{"keys":[{"kty":"EC","kid":"x"}]}`} {
		i.Serve(body)
		if err := keys.fetch(t.Context()); err == nil {
			t.Errorf("%s: taken", what)
		}
		if _, err := keys.find(t.Context(), "one"); err != nil {
			t.Errorf("%s: the last good keys are gone: %v", what, err)
		}
	}
}
