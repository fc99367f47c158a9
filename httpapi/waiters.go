package httpapi

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"time"

	"statuscache/httpapi/auth"
	"statuscache/httpapi/internal/envelope"
	"statuscache/httpapi/internal/fairness"
)

// How the tokens of requests that wait are checked.
const (
	recheckTokens = 1500 * time.Millisecond // a JWT that is no longer valid is noticed after that at most
	maxUnchecked  = 20 * time.Second        // without being able to check a token
	afterExpiry   = 10 * time.Second        // clocks differ
)

// Why a wait ends before its time.
var (
	errStopping   = errors.New("the service is about to stop")
	errRevoked    = errors.New("the token is no longer valid")
	errClientGone = errors.New("the client has gone")
	errOver       = errors.New("the time is up")
)

// waiters are the requests that take long: long polls and streams. It bounds how many
// there are and ends them: all when the server stops, and those of a token when it is
// no longer valid.
type waiters struct {
	auth   *auth.Authenticator
	places *fairness.Pool // one for each execution that is waited for

	mu      sync.Mutex
	stopped bool
	count   int // of requests
	groups  map[string]*tokenGroup
}

// tokenGroup is all waiters with the same token.
type tokenGroup struct {
	token     string    // the header Authorization as it came, or would have come
	expires   time.Time // of the token; zero: never
	unchecked time.Time // since when it could not be checked; zero: it could
	ended     error     // why a waiter that joins now must not wait either; nil: it may
	stop      func()    // ends the reports about the API key; nil: it is a JWT
	waiters   map[*waiter]struct{}
}

func newWaiters(a *auth.Authenticator, places *fairness.Pool) *waiters {
	return &waiters{auth: a, places: places, groups: map[string]*tokenGroup{}}
}

// add lets a request wait for so many executions until a certain time. It ends then, or
// when it must not go on; remove is to be called in any case.
func (w *waiters) add(x *exchange, executions int, until time.Time) (*waiter, error) {
	cost := int64(executions)
	if !w.places.Take(x.holder, cost) {
		return nil, envelope.Unavailable("too many requests are waiting", nil)
	}
	one := newWaiter(x, cost, until)
	token := x.credential()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		one.end(errStopping)
	}
	w.count++
	g := w.groups[token]
	if g == nil {
		g = &tokenGroup{token: strings.Clone(token), expires: x.caller.Expires, waiters: map[*waiter]struct{}{}}
		w.groups[g.token] = g
		g.stop = w.auth.Watch(&x.caller, func(err error) { w.checked(g, err) })
	}
	if g.ended != nil {
		one.end(g.ended)
	}
	g.waiters[one], one.group = struct{}{}, g
	return one, nil
}

func (w *waiters) remove(one *waiter) {
	one.close()
	w.places.Give(one.holder, one.cost)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count--
	g := one.group
	if delete(g.waiters, one); len(g.waiters) == 0 {
		delete(w.groups, g.token)
		if g.stop != nil {
			g.stop()
		}
	}
}

// waiting returns how many requests wait.
func (w *waiters) waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count
}

// close ends all waits, and those that are still to come.
func (w *waiters) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	for _, g := range w.groups {
		g.end(errStopping)
	}
}

func (g *tokenGroup) end(why error) {
	g.ended = why
	for one := range g.waiters {
		one.end(why)
	}
}

// run checks the tokens until ctx ends. The state of API keys is reported by package
// cache; JWTs are checked here, without a request.
func (w *waiters) run(ctx context.Context) error {
	tick := time.NewTicker(recheckTokens)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for token, g := range w.all() {
			if g.stop == nil {
				_, err := w.auth.Authenticate(ctx, []string{token})
				w.checked(g, err)
			}
			w.endExpired(g)
		}
	}
}

func (w *waiters) all() map[string]*tokenGroup {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.groups)
}

// checked takes the result of checking the token of a group: nil if it is valid.
func (w *waiters) checked(g *tokenGroup, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil:
		g.unchecked = time.Time{}
	case auth.Rejected(err):
		g.end(errRevoked)
	case g.unchecked.IsZero():
		g.unchecked = time.Now()
	}
}

// endExpired ends a group whose token has expired, or could not be checked for long.
func (w *waiters) endExpired(g *tokenGroup) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if !g.expires.IsZero() && now.After(g.expires.Add(afterExpiry)) || !g.unchecked.IsZero() && now.Sub(g.unchecked) > maxUnchecked {
		g.end(errRevoked)
	}
}
