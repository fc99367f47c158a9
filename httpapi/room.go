package httpapi

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// How many requests may wait at once, in this process. A caller may not have
// all of it, but nearly: one API key may ask on behalf of many.
const (
	maxWaiting       = 80_000
	maxWaitingCaller = 60_000
)

// How the tokens of those who wait are looked after.
const (
	lookAgain   = 1500 * time.Millisecond // a revoked token is noticed after that at most
	maxUnsure   = 20 * time.Second        // without being able to check it
	afterExpiry = 10 * time.Second        // clocks differ
)

// Why a wait ends before its time.
var (
	errStopping = errors.New("the service is about to stop")
	errRevoked  = errors.New("the token is no longer good")
	errGone     = errors.New("the client has gone")
	errOver     = errors.New("the time is up")
)

// room holds the requests that take long: long polls and streams. It bounds how
// many there are and ends them: all when the server stops, and those of a token
// when that is no longer good.
type room struct {
	auth *authenticator

	mu      sync.Mutex
	stopped bool
	count   int
	callers map[string]int // by bucket
	parties map[string]*party
}

// party is all who came with the same token.
type party struct {
	expires time.Time // of the token; zero: never
	unsure  time.Time // since when it could not be checked; zero: it could
	guests  map[*guest]struct{}
}

// guest is a request that waits. There may be tens of thousands, so it has one
// context for all that can end it.
type guest struct {
	token  string // the header Authorization as it came
	bucket string
	ctx    context.Context
	end    context.CancelCauseFunc
	over   *time.Timer
}

func newRoom(auth *authenticator) *room {
	return &room{auth: auth, callers: map[string]int{}, parties: map[string]*party{}}
}

// enter lets a request wait until a certain time. Its context ends then, or when
// it must not go on, with the reason as its cause; leave is to be called in any
// case.
func (m *room) enter(x *exchange, until time.Time) (*guest, error) {
	// The request's own context ends when net/http lets go of it.
	ctx, end := context.WithCancelCause(context.WithoutCancel(x.r.Context()))
	g := &guest{token: x.r.Header.Get("Authorization"), bucket: x.caller.bucket(), ctx: ctx, end: end}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.count >= maxWaiting || m.callers[g.bucket] >= maxWaitingCaller {
		end(nil)
		return nil, unavailable("too many requests are waiting", nil)
	}
	if m.stopped {
		end(errStopping)
	}
	g.over = time.AfterFunc(time.Until(until), func() { end(errOver) })
	m.count++
	m.callers[g.bucket]++
	p := m.parties[g.token]
	if p == nil {
		p = &party{expires: x.caller.expires, guests: map[*guest]struct{}{}}
		m.parties[g.token] = p
	}
	p.guests[g] = struct{}{}
	return g, nil
}

func (m *room) leave(g *guest) {
	g.over.Stop()
	g.end(nil)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.count--
	if m.callers[g.bucket]--; m.callers[g.bucket] == 0 {
		delete(m.callers, g.bucket)
	}
	p := m.parties[g.token]
	if delete(p.guests, g); len(p.guests) == 0 {
		delete(m.parties, g.token)
	}
}

// waiting returns how many there are.
func (m *room) waiting() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.count
}

// close ends all waits, and those that are still to come.
func (m *room) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopped = true
	for _, p := range m.parties {
		p.end(errStopping)
	}
}

func (p *party) end(why error) {
	for g := range p.guests {
		g.end(why)
	}
}

// run looks after the tokens until ctx ends.
func (m *room) run(ctx context.Context) error {
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for _, token := range m.tokens() {
			m.look(ctx, token)
		}
	}
}

func (m *room) tokens() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]string, 0, len(m.parties))
	for token := range m.parties {
		all = append(all, token)
	}
	return all
}

// look ends a party whose token is no longer good, or may no longer be.
func (m *room) look(ctx context.Context, token string) {
	_, err := m.auth.authenticate(ctx, []string{token})
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.parties[token]
	if p == nil {
		return
	}
	now := time.Now()
	var said *problem
	switch {
	case !p.expires.IsZero() && now.After(p.expires.Add(afterExpiry)),
		errors.As(err, &said) && said.status == http.StatusUnauthorized:
		p.end(errRevoked)
	case err == nil:
		p.unsure = time.Time{}
	case p.unsure.IsZero():
		p.unsure = now
	case now.Sub(p.unsure) > maxUnsure:
		p.end(errRevoked)
	}
}
