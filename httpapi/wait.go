package httpapi

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"statuscache/cache"
	"statuscache/cache/changes"
	"statuscache/httpapi/auth"
	"statuscache/httpapi/internal/headers"
	"statuscache/httpapi/internal/waiting"
)

// ready reports whether to answer with r, which may be nil, before the end of the wait,
// or to begin a stream with it. It returns an error if the caller may not read it.
func (x *exchange) ready(w waitOptions, r *cache.Record) (bool, error) {
	switch {
	case r == nil:
		return false, nil
	case x.caller.MayRead(r):
	case r.Owner == "" && x.caller.Read:
		return false, nil // its owner may become known
	default:
		return false, errForeign
	}
	if !w.explicit || w.wait == 0 || w.stream {
		return true, nil
	}
	if x.r.Header.Get("If-None-Match") != "" {
		return r.Terminal || !x.knows(r, w.view), nil
	}
	return r.Terminal, nil
}

// knows reports whether the caller already has r or a newer state.
func (x *exchange) knows(r *cache.Record, v *view) bool {
	match, _ := headers.Matches(x.r.Header["If-None-Match"], x.coded(v, r).ETag[0])
	seen, _ := headers.SeenVersion(x.r.Header)
	return match || seen > r.Version
}

// longPoll is a read of one execution that waits until a record can be sent. At the end of
// the wait it sends the current record.
type longPoll struct {
	arn      cache.ARN
	options  waitOptions
	before   func()         // called before the answer or the stream; nil: nothing to do
	watch    *changes.Watch // nil: no step has run yet
	read     bool           // the state has been read once
	failures int            // of attempts to read it
}

// step implements the type step.
func (p *longPoll) step(x *exchange) error {
	err := p.begin(x)
	switch {
	case x.waiter.Ended() != nil:
		r, err := x.last(p.arn)
		return p.answer(x, r, err)
	case p.failures > maxFailures:
		return p.answer(x, nil, err)
	case err != nil: // Redis is slow; a waiting request can wait for it
		return x.again(time.Now().Add(failurePause/2 + rand.N(failurePause/2)))
	}
	p.watch.News()
	r := p.watch.Records()[0]
	if ready, err := x.ready(p.options, r); ready || err != nil {
		return p.answer(x, r, err)
	}
	return x.again(time.Time{})
}

// begin reads the current state, in the first step and, until that succeeds, in the next ones.
func (p *longPoll) begin(x *exchange) error {
	if p.read {
		return nil
	}
	if p.watch == nil {
		p.watch = x.server.options.Changes.WatchFunc(x.waiter.Wake, p.arn)
		x.waiter.AtEnd(p.watch.Close)
	}
	ctx, release := x.waiter.Context(x.r.Context())
	defer release()
	err := p.watch.Read(ctx)
	if p.read = err == nil; err != nil {
		p.failures++
	}
	return err
}

func (p *longPoll) answer(x *exchange, r *cache.Record, err error) error {
	if p.before != nil {
		p.before()
	}
	return x.answer(r, p.options, err)
}

// How often Redis is read again for a waiting request.
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
	seen, _ := headers.SeenVersion(x.r.Header)
	r, err := x.server.options.Cache.GetAtLeast(context.WithoutCancel(x.r.Context()), arn, seen)
	if errors.Is(err, cache.ErrNotFound) {
		return nil, nil
	}
	return r, err
}

// ended returns the error for a wait that has ended, or nil if it must be answered with
// the current state.
func (x *exchange) ended() error {
	switch cause := x.waiter.Ended(); {
	case errors.Is(cause, waiting.ErrClientGone):
		return waiting.ErrClientGone
	case errors.Is(cause, waiting.ErrRevoked):
		return auth.EndedWhileInUse()
	}
	return nil
}
