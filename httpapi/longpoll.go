package httpapi

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"statuscache/cache"
)

// linger goes on with a request that takes long, until a certain time at most. It
// counts as one for each of the executions that it is about. The context of the
// request ends then, or when it must not go on any more, and the cause says why.
func (x *exchange) linger(executions int, until time.Time, rest func(*exchange) error) error {
	if x.guest != nil { // it has waited already and goes on to wait for something else
		x.guest.over.Reset(time.Until(until))
		return rest(x)
	}
	g, err := x.server.room.enter(x, executions, until)
	if err != nil {
		return err
	}
	x.leave()
	if p := park(x.w, x.r, g.end); p != nil {
		y := *x
		x.moved = true
		y.guest = g
		y.w, y.r = p, slim(x.r).WithContext(g.ctx)
		p.header["X-Request-Id"] = y.id[:]
		go y.resume(p, g, rest)
		return nil
	}
	defer x.server.room.leave(g)
	_ = http.NewResponseController(x.w).SetWriteDeadline(time.Time{}) // the answer gets one of its own
	defer context.AfterFunc(x.r.Context(), func() { g.end(errGone) })()
	x.r, x.guest = x.r.WithContext(g.ctx), g
	return rest(x)
}

// slim returns what is still needed of a request that waits. What some clients
// send beside it is larger than all the rest.
func slim(r *http.Request) *http.Request {
	s := &http.Request{Method: r.Method, URL: r.URL, Body: http.NoBody}
	for _, name := range []string{"If-None-Match", "Accept-Encoding", "Last-Event-Id"} {
		if values, ok := r.Header[name]; ok {
			if s.Header == nil {
				s.Header = http.Header{}
			}
			s.Header[name] = values
		}
	}
	return s
}

// resume goes on with a request whose connection is parked.
func (x *exchange) resume(p *parked, g *guest, rest func(*exchange) error) {
	defer p.finish()
	defer x.server.room.leave(g)
	defer x.end()
	if err := rest(x); err != nil {
		x.fail(err)
	}
}

// wish is what an answer must be like to be worth giving before the end of the
// wait.
type wish struct {
	wait time.Duration // how long it may be waited for; 0: not at all
	// told is whether the request named its wait. Otherwise it is held only until
	// something is known.
	told   bool
	full   bool
	stream bool
}

// patience reads how long a request wants to wait, and tells it what it got.
func (x *exchange) patience(values []string) (wish, error) {
	limit := x.server.options.MaxWait
	switch {
	case len(values) == 0:
	case len(values) > 1:
		return wish{}, invalid("wait: given more than once")
	default:
		wait, ok := seconds(values[0])
		if !ok {
			return wish{}, invalid("wait: must be a whole number of seconds, 0 or more")
		}
		return wish{wait: min(wait, limit), told: true}, nil
	}
	if wait, ok := preferredWait(x.r.Header["Prefer"]); ok {
		wait = min(wait, limit)
		x.w.Header()["Preference-Applied"] = []string{"wait=" + strconv.Itoa(int(wait/time.Second))}
		return wish{wait: wait, told: true}, nil
	}
	return wish{wait: x.server.options.Grace}, nil
}

// seconds reads a whole number of seconds. More than anybody waits is as good as
// much more.
func seconds(s string) (time.Duration, bool) {
	const enough = 1_000_000
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	if err != nil || n > enough {
		n = enough
	}
	return time.Duration(n) * time.Second, true
}

// preferredWait returns the wait of a header Prefer (RFC 7240). The first counts,
// and what is malformed is ignored.
func preferredWait(header []string) (time.Duration, bool) {
	for _, list := range header {
		for each := range strings.SplitSeq(list, ",") {
			preference, _, _ := strings.Cut(each, ";")
			name, value, _ := strings.Cut(preference, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			value = strings.TrimSpace(value)
			if n := len(value); n > 1 && value[0] == '"' && value[n-1] == '"' {
				value = value[1 : n-1]
			}
			return seconds(value)
		}
	}
	return 0, false
}

// jitterAbove is from when on a wait ends a little early, by chance, so that those
// who began together do not come back together.
const jitterAbove = 10 * time.Second

func (w wish) until(start time.Time) time.Time {
	wait := w.wait
	if wait >= jitterAbove {
		wait -= rand.N(wait / 16)
	}
	return start.Add(wait)
}

// granted reports whether r, which may be nil, is worth an answer now, or a
// stream. It is an error if the caller may not read it.
func (x *exchange) granted(w wish, r *cache.Record) (bool, error) {
	switch {
	case r == nil:
		return false, nil
	case x.caller.mayRead(r):
	case r.Owner == "" && x.caller.Read:
		return false, nil // whose it is may become known
	default:
		return false, errForeign
	}
	if !w.told || w.wait == 0 || w.stream {
		return true, nil
	}
	if x.r.Header.Get("If-None-Match") != "" {
		return r.Terminal || !x.knows(r, w.full), nil
	}
	return r.Terminal, nil
}

// knows reports whether the caller has an answer that is as new as r.
func (x *exchange) knows(r *cache.Record, full bool) bool {
	match, _ := matches(x.r.Header["If-None-Match"], x.representation(r, full).ETag[0])
	seen, _ := seenVersion(x.r.Header)
	return match || seen > r.Version
}

// await waits for an answer that is worth giving, from what was known when the
// request came, and returns it or else the last one.
func (x *exchange) await(arn cache.ARN, w wish, r *cache.Record) (*cache.Record, error) {
	ctx := x.r.Context()
	for failures := 0; ; {
		newer, err := x.server.options.Changes.Wait(ctx, arn, r)
		switch {
		case err == nil:
			r = newer
		case ctx.Err() != nil:
			return x.last(arn)
		case failures == maxFailures:
			return nil, err
		default: // Redis is late; who wants to wait can wait for that
			failures++
			pause(ctx)
			continue
		}
		if granted, err := x.granted(w, r); granted || err != nil {
			return r, err
		}
	}
}

// How often Redis is asked again for somebody who wants to wait.
const (
	maxFailures  = 3
	failurePause = 500 * time.Millisecond // at most; half of it at least
)

func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(failurePause/2 + rand.N(failurePause/2)):
	}
}

// last returns the current state at the end of a wait.
func (x *exchange) last(arn cache.ARN) (*cache.Record, error) {
	if err := x.ended(); err != nil {
		return nil, err
	}
	seen, _ := seenVersion(x.r.Header)
	r, err := x.server.options.Cache.GetAtLeast(context.WithoutCancel(x.r.Context()), arn, seen)
	if errors.Is(err, cache.ErrNotFound) {
		return nil, nil
	}
	return r, err
}

// ended returns why a wait that has ended is not to be answered with the current
// state, or nil.
func (x *exchange) ended() error {
	switch cause := context.Cause(x.r.Context()); {
	case errors.Is(cause, errGone):
		return errGone
	case errors.Is(cause, errRevoked):
		return refused(endedWhileInUse, "", "")
	}
	return nil
}

// hold is wait for a request that did not ask for it.
func (x *exchange) hold(arn cache.ARN, w wish, r *cache.Record) error {
	g, caller := x.server.grace, x.caller.bucket()
	if !g.enter(caller, arn) {
		return x.answer(r, wish{}, nil)
	}
	err := x.linger(1, w.until(x.start), func(x *exchange) error {
		r, err := x.await(arn, w, r)
		g.leave(caller)
		return x.answer(r, w, err)
	})
	if x.guest == nil && !x.moved { // there was no room
		g.leave(caller)
		return x.answer(r, wish{}, nil)
	}
	return err
}

// Bounds of the arrival grace.
const (
	maxHeld       = 10_000
	maxHeldCaller = 500
)

// grace bounds the reads that are held because nothing is known yet of an
// execution, or not whose it is: anybody can make up the name of one.
type grace struct {
	machines []string // ours; empty: all

	mu      sync.Mutex
	count   int
	callers map[string]int
}

func newGrace(machines []string) *grace { return &grace{machines: machines, callers: map[string]int{}} }

// enter reports whether a read may be held. leave must be called then.
func (g *grace) enter(caller string, arn cache.ARN) bool {
	if !g.ours(arn) {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.count >= maxHeld || g.callers[caller] >= maxHeldCaller {
		return false
	}
	g.count++
	g.callers[caller]++
	return true
}

func (g *grace) ours(arn cache.ARN) bool {
	return len(g.machines) == 0 || slices.ContainsFunc(g.machines, arn.BelongsTo)
}

func (g *grace) leave(caller string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.count--
	if g.callers[caller]--; g.callers[caller] == 0 {
		delete(g.callers, caller)
	}
}
