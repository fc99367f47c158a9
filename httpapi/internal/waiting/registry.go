package waiting

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"time"
)

// How the tokens of waiting requests are checked.
const (
	recheckTokens = 1500 * time.Millisecond // a JWT that is no longer valid is noticed within this time
	// MaxUnchecked is how long a request waits while its token cannot be checked.
	MaxUnchecked = 20 * time.Second
	afterExpiry  = 10 * time.Second // clocks differ
)

// Reasons for an early end of a wait.
var (
	ErrStopping   = errors.New("the service is stopping")
	ErrRevoked    = errors.New("the token is no longer valid")
	ErrClientGone = errors.New("the client has closed the connection")
	ErrOver       = errors.New("the time is up")
)

// Registry has the waiting requests: long polls and streams. They end when the server
// stops, and when their token is no longer valid.
type Registry struct {
	check    func(ctx context.Context, token string) error // nil if it is valid
	rejected func(error) bool

	mu      sync.Mutex
	stopped bool
	count   int // of requests
	groups  map[string]*group
}

// group has all waiters with the same token.
type group struct {
	token     string
	expires   time.Time // of the token; zero: never
	unchecked time.Time // since when it could not be checked; zero: it could
	ended     error     // why a waiter that joins now must not wait either; nil: it may
	stop      func()    // ends the reports about the token; nil: there are none, so it is checked
	waiters   map[*Waiter]struct{}
}

// NewRegistry returns an empty registry. check checks a token, and rejected reports whether its error
// means that the token is not valid.
func NewRegistry(check func(ctx context.Context, token string) error, rejected func(error) bool) *Registry {
	return &Registry{check: check, rejected: rejected, groups: map[string]*group{}}
}

// Token is the token of a waiting request.
type Token struct {
	Text    string
	Expires time.Time // zero: never
	// Watch starts reports about the token; a nil stop means that there are none.
	Watch func(report func(error)) (stop func())
}

// Add lets a request wait until the given time, or until it must end earlier. Remove must
// be called in any case.
func (w *Registry) Add(t Token, waker Waker, until time.Time) *Waiter {
	one := New(waker, until)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		one.End(ErrStopping)
	}
	w.count++
	g := w.groups[t.Text]
	if g == nil {
		g = &group{token: strings.Clone(t.Text), expires: t.Expires, waiters: map[*Waiter]struct{}{}}
		w.groups[g.token] = g
		g.stop = t.Watch(func(err error) { w.checked(g, err) })
	}
	if g.ended != nil {
		one.End(g.ended)
	}
	g.waiters[one], one.group = struct{}{}, g
	return one
}

// Remove removes an answered request.
func (w *Registry) Remove(one *Waiter) {
	one.close()
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

// Count returns how many requests wait.
func (w *Registry) Count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count
}

// Close ends all current and future waits.
func (w *Registry) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	for _, g := range w.groups {
		g.end(ErrStopping)
	}
}

func (g *group) end(why error) {
	g.ended = why
	for one := range g.waiters {
		one.End(why)
	}
}

// Run checks the tokens until ctx ends. Package apikeys reports the state of API keys. JWTs
// are checked here, without a request.
func (w *Registry) Run(ctx context.Context) error {
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
				w.checked(g, w.check(ctx, token))
			}
			w.endExpired(g)
		}
	}
}

func (w *Registry) all() map[string]*group {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.groups)
}

// checked handles the result of a check of a group's token: nil if it is valid.
func (w *Registry) checked(g *group, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil:
		g.unchecked = time.Time{}
	case w.rejected(err):
		g.end(ErrRevoked)
	case g.unchecked.IsZero():
		g.unchecked = time.Now()
	}
}

// endExpired ends a group whose token has expired, or could not be checked for too long.
func (w *Registry) endExpired(g *group) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if !g.expires.IsZero() && now.After(g.expires.Add(afterExpiry)) || !g.unchecked.IsZero() && now.Sub(g.unchecked) > MaxUnchecked {
		g.end(ErrRevoked)
	}
}
