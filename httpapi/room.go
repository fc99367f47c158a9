package httpapi

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"sync"
	"time"

	"statuscache/cache/apikeys"
)

// How the tokens of those who wait are looked after.
const (
	lookAgain   = 1500 * time.Millisecond // a JWT that is no longer good is noticed after that at most
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
	auth   *authenticator
	places *pool // one for each execution that is waited for

	mu      sync.Mutex
	stopped bool
	count   int // of requests
	parties map[string]*party
}

// party is all who came with the same token.
type party struct {
	expires time.Time // of the token; zero: never
	unsure  time.Time // since when it could not be checked; zero: it could
	ended   error     // why who comes now must not wait either; nil: they may
	stop    func()    // of being told what becomes of the API key; nil: it is a JWT
	guests  map[*guest]struct{}
}

// guest is a request that waits. There may be tens of thousands, so it has one
// context for all that can end it.
type guest struct {
	token  string // the header Authorization as it came
	holder *holder
	cost   int64 // in places
	ctx    context.Context
	end    context.CancelCauseFunc
	over   *time.Timer
}

func newRoom(auth *authenticator, places *pool) *room {
	return &room{auth: auth, places: places, parties: map[string]*party{}}
}

// enter lets a request wait for so many executions until a certain time. Its
// context ends then, or when it must not go on, with the reason as its cause; leave
// is to be called in any case.
func (m *room) enter(x *exchange, executions int, until time.Time) (*guest, error) {
	cost := int64(executions)
	if !m.places.take(x.holder, cost) {
		return nil, unavailable("too many requests are waiting", nil)
	}
	// The request's own context ends when net/http lets go of it.
	ctx, end := context.WithCancelCause(context.WithoutCancel(x.r.Context()))
	g := &guest{token: x.r.Header.Get("Authorization"), holder: x.holder, cost: cost, ctx: ctx, end: end}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopped {
		end(errStopping)
	}
	g.over = time.AfterFunc(time.Until(until), func() { end(errOver) })
	m.count++
	p := m.parties[g.token]
	if p == nil {
		p = &party{expires: x.caller.expires, guests: map[*guest]struct{}{}}
		m.parties[g.token] = p
		if x.caller.key != nil {
			p.stop = m.auth.keys.Watch(x.caller.key, func(err error) { m.learn(p, err) })
		}
	}
	if p.ended != nil {
		end(p.ended)
	}
	p.guests[g] = struct{}{}
	return g, nil
}

func (m *room) leave(g *guest) {
	g.over.Stop()
	g.end(nil)
	m.places.give(g.holder, g.cost)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.count--
	p := m.parties[g.token]
	if delete(p.guests, g); len(p.guests) == 0 {
		delete(m.parties, g.token)
		if p.stop != nil {
			p.stop()
		}
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
	p.ended = why
	for g := range p.guests {
		g.end(why)
	}
}

// run looks after the tokens until ctx ends. What becomes of API keys is told; JWTs are
// looked at here, which asks nobody.
func (m *room) run(ctx context.Context) error {
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for token, p := range m.all() {
			if p.stop == nil {
				_, err := m.auth.authenticate(ctx, []string{token})
				m.learn(p, err)
			}
			m.judge(p)
		}
	}
}

func (m *room) all() map[string]*party {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.parties)
}

// learn takes in what was found out about the token of a party: nil that it is good.
func (m *room) learn(p *party, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var said *problem
	switch {
	case err == nil:
		p.unsure = time.Time{}
	case errors.Is(err, apikeys.ErrNotFound), errors.As(err, &said) && said.status == http.StatusUnauthorized:
		p.end(errRevoked)
	case p.unsure.IsZero():
		p.unsure = time.Now()
	}
}

// judge ends a party whose token has expired, or could not be checked for long.
func (m *room) judge(p *party) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if !p.expires.IsZero() && now.After(p.expires.Add(afterExpiry)) || !p.unsure.IsZero() && now.Sub(p.unsure) > maxUnsure {
		p.end(errRevoked)
	}
}
