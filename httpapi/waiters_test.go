package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"statuscache/cache"
	"statuscache/cache/apikeys"
	"statuscache/cache/cachetest"
	"statuscache/httpapi/auth"
	"statuscache/httpapi/internal/fairness"
	"statuscache/httpapi/internal/waiting"
)

// fakeKeys has one key, which can be revoked or away.
type fakeKeys struct {
	mu            sync.Mutex
	revoked, away bool
	tell          []func(error)
}

func (k *fakeKeys) set(revoked, away bool) {
	k.mu.Lock()
	k.revoked, k.away = revoked, away
	tell := k.tell
	k.mu.Unlock()
	_, err := k.Find(context.Background(), "")
	for _, f := range tell {
		f(err)
	}
}

func (k *fakeKeys) Find(context.Context, string) (*apikeys.Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.away:
		return nil, errors.New("redis is gone")
	case k.revoked:
		return nil, apikeys.ErrNotFound
	}
	return &apikeys.Key{Owner: "ada", Scope: apikeys.ScopeRead}, nil
}

func (k *fakeKeys) Watch(_ *apikeys.Key, tell func(error)) (stop func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tell = append(k.tell, tell)
	return func() {}
}

func (*fakeKeys) SpendQuota(context.Context, *apikeys.Key) (time.Duration, error) { return 0, nil }
func (*fakeKeys) RefundQuota(*apikeys.Key, time.Time)                             {}

// inWaiters lets a request wait for an hour in a bubble of time, and returns how long
// that lasted and why it ended.
func inWaiters(t *testing.T, happen func(w *waiters, k *fakeKeys, x *exchange)) (took time.Duration, cause error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		keys := &fakeKeys{}
		var pools fairness.Pools
		places := pools.New(10, fairness.Nearly)
		w := newWaiters(auth.New(keys, nil, nil, nil, nil), places)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = w.Run(ctx) }()
		x := &exchange{r: httptest.NewRequest(http.MethodGet, "/", nil), holder: pools.NewHolder(nil, 1)}
		x.r.Header.Set("Authorization", "Bearer csk_live_0123456789abcdef0123456789abcdef")
		var err error
		if x.caller, err = w.auth.Authenticate(ctx, x.r.Header["Authorization"]); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if happen != nil {
			happen(w, keys, x)
		}
		if err := w.add(x, 1, begun.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		cause = untilEnded(x.waiter)
		took = time.Since(begun)
		w.remove(x)
		if w.Count() != 0 || places.InUse() != 0 {
			t.Errorf("left behind: %+v", w)
		}
		cancel()
		synctest.Wait()
	})
	return took, cause
}

// untilEnded returns why a wait has ended, once it has.
func untilEnded(one *waiting.Waiter) error {
	ctx, release := one.Context(context.Background())
	defer release()
	<-ctx.Done()
	return context.Cause(ctx)
}

func TestHowAWaitEnds(t *testing.T) {
	t.Parallel()
	after := func(d time.Duration, f func()) { time.AfterFunc(d, f) }
	for name, test := range map[string]struct {
		happen      func(*waiters, *fakeKeys, *exchange)
		least, most time.Duration
		cause       error
	}{
		"its time is up":        {nil, time.Hour, time.Hour, waiting.ErrOver},
		"the server stops":      {func(w *waiters, _ *fakeKeys, _ *exchange) { after(time.Minute, w.Close) }, time.Minute, time.Minute, waiting.ErrStopping},
		"it has stopped before": {func(w *waiters, _ *fakeKeys, _ *exchange) { w.Close() }, 0, 0, waiting.ErrStopping},
		"the key is revoked": {func(_ *waiters, k *fakeKeys, _ *exchange) {
			after(time.Minute, func() { k.set(true, false) })
		}, time.Minute, time.Minute, waiting.ErrRevoked},
		"the key cannot be checked for long": {func(_ *waiters, k *fakeKeys, _ *exchange) {
			after(time.Minute, func() { k.set(false, true) })
		}, time.Minute + waiting.MaxUnchecked, time.Minute + 30*time.Second, waiting.ErrRevoked},
		"only for a while": {func(_ *waiters, k *fakeKeys, _ *exchange) {
			after(time.Minute, func() { k.set(false, true) })
			after(time.Minute+waiting.MaxUnchecked-2*time.Second, func() { k.set(false, false) })
		}, time.Hour, time.Hour, waiting.ErrOver},
		"the token expires": {func(_ *waiters, _ *fakeKeys, x *exchange) {
			x.caller.Expires = time.Now().Add(time.Minute)
		}, time.Minute, time.Minute + 30*time.Second, waiting.ErrRevoked},
	} {
		took, cause := inWaiters(t, test.happen)
		if took < test.least || took > test.most || !errors.Is(cause, test.cause) {
			t.Errorf("%s: after %v: %v", name, took, cause)
		}
	}
}

// TestPollsSetsAndStreamsOfExecutionsWaitWithoutAGoroutine. The control is a feed, which has
// one. No other test runs beside it.
func TestPollsSetsAndStreamsOfExecutionsWaitWithoutAGoroutine(t *testing.T) {
	s := newService(t)
	ada, runs := s.key("ada"), running(t, "waited", "ada")
	s.apply(runs)
	target := statusPath + string(runs.ARN)
	answers := []<-chan answer{
		s.later("GET", target+"?wait=3600", ada), s.later("POST", "/v1/wait?wait=3600", ada, jsonBody(arnsBody("", string(runs.ARN)))),
	}
	s.open(asIs, target, ada)
	s.untilWaiting(3)
	working := func() int {
		var stacks strings.Builder
		if err := pprof.Lookup("goroutine").WriteTo(&stacks, 2); err != nil {
			t.Fatal(err)
		}
		return strings.Count(stacks.String(), "httpapi.(*exchange).Continue(")
	}
	cachetest.Eventually(t, "no goroutine is left", func() bool { return working() == 0 })
	s.open(asIs, "/v1/executions", ada)
	cachetest.Eventually(t, "the control: the feed has one", func() bool { return s.waiters.Count() == 4 && working() == 1 })
	s.apply(finished(runs, "1"))
	for _, each := range answers {
		if got := <-each; got.status != 200 || !strings.Contains(got.body, "SUCCEEDED") {
			t.Errorf("%+v", got)
		}
	}
}

// TestASlowReaderOfAFeedIsCut: a client that receives nothing is disconnected, and others
// receive everything.
func TestASlowReaderOfAFeedIsCut(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.key("ada")
	openSlow(t, strings.TrimPrefix(s.url, "http://"),
		"GET /v1/executions HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nAuthorization: Bearer "+ada+"\r\n\r\n")
	quick := s.open(asIs, "/v1/executions", ada)
	s.untilWaiting(2)
	output := `{"metadata":{"a":"` + strings.Repeat("x", 4000) + `"}}`
	const executions, rounds = 50, 80
	for round := range rounds {
		if s.waiters.Count() == 1 {
			break
		}
		batch := make([]cache.Execution, executions)
		for i := range batch {
			batch[i] = succeeded(t, fmt.Sprint("fed-", i), "ada", output)
			batch[i].RedriveCount = round
		}
		s.apply(batch...)
		if round == 0 {
			quick.next() // live
		}
		for range executions {
			if got := quick.next(); !strings.Contains(got, "SUCCEEDED") {
				t.Fatalf("round %d: %.200s", round, got)
			}
		}
	}
	s.untilWaiting(1)
}
