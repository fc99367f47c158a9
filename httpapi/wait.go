package httpapi

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"statuscache/cache"
	"statuscache/httpapi/auth"
	"statuscache/httpapi/internal/headers"
)

// ready reports whether to answer with r, which may be nil, now and not at the end of
// the wait, or to begin a stream with it. It is an error if the caller may not read it.
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

// knows reports whether the caller has an answer that is as new as r.
func (x *exchange) knows(r *cache.Record, v *view) bool {
	match, _ := headers.Matches(x.r.Header["If-None-Match"], x.coded(v, r).ETag[0])
	seen, _ := headers.SeenVersion(x.r.Header)
	return match || seen > r.Version
}

// await waits until a record is ready to be sent, beginning with the one that was known
// when the request came. At the end of the wait it returns the current one.
func (x *exchange) await(arn cache.ARN, w waitOptions, r *cache.Record) (*cache.Record, error) {
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
		default: // Redis is late; a request that waits can wait for it
			failures++
			pause(ctx)
			continue
		}
		if ready, err := x.ready(w, r); ready || err != nil {
			return r, err
		}
	}
}

// How often Redis is read again for a request that waits.
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

// ended returns why a wait that has ended is not to be answered with the current
// state, or nil.
func (x *exchange) ended() error {
	switch cause := context.Cause(x.r.Context()); {
	case errors.Is(cause, errClientGone):
		return errClientGone
	case errors.Is(cause, errRevoked):
		return auth.EndedWhileInUse()
	}
	return nil
}
