package auth

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestATokenWithoutAnExpiryIsValid: some platforms send an expiry that no time can represent.
func TestATokenWithoutAnExpiryIsValid(t *testing.T) {
	t.Parallel()
	i := &introspector{options: Introspection{OwnerClaim: "sub"}, now: time.Now}
	for _, end := range []float64{1e12, 1e19, 1e300} {
		p, refusal := i.principal(&introspected{Active: true, Expires: &end, Claims: map[string]any{"sub": "ada"}})
		if refusal != nil || !p.Expires.After(time.Now()) {
			t.Errorf("exp %g: ends %v, refused: %v", end, p.Expires, refusal)
		}
	}
}

// endpoint answers after a second that the token "good" is active, and no other.
type endpoint struct {
	mu    sync.Mutex
	asked map[string]int
}

func (e *endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	token := r.PostFormValue("token")
	e.mu.Lock()
	e.asked[token]++
	e.mu.Unlock()
	<-time.After(time.Second)
	body := fmt.Sprintf(`{"active":%t,"sub":"ada"}`, token == "good")
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// TestManyCallersCauseOneRequest to the endpoint, also about a token that is not active, until
// the answer is 20 s old.
func TestManyCallersCauseOneRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{asked: map[string]int{}}
		i := newIntrospector(Introspection{
			URL: "http://platform.test", Secret: func() (string, error) { return "s3cret", nil }, OwnerClaim: "sub", Transport: e,
		}, slog.New(slog.DiscardHandler))
		many := func(want int) {
			t.Helper()
			var callers sync.WaitGroup
			for range 20 {
				for token, owner := range map[string]string{"good": "ada", "bad": ""} {
					callers.Go(func() {
						if p, err := i.verify(t.Context(), token); p.Owner != owner || (err == nil) != (owner != "") {
							t.Errorf("%s: %+v, %v", token, p, err)
						}
					})
				}
			}
			callers.Wait()
			if e.asked["good"] != want || e.asked["bad"] != want {
				t.Errorf("asked: %v, want %d times", e.asked, want)
			}
		}
		many(1)
		<-time.After(introspectionLife - 1)
		many(1)
		<-time.After(1)
		many(2)
	})
}
