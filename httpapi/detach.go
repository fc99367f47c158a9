package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"statuscache/httpapi/internal/waiting"
	"statuscache/httpapi/wire"
)

// A waiting request is continued in steps, when something may have happened. There may be
// tens of thousands of waiting requests, so between steps they have no goroutine and no
// context.

// step continues a waiting request. If the request must wait further, it returns the result
// of again; otherwise it has answered.
type step func(*exchange) error

// wait lets a request wait until a given time at most. The request gives back its place of
// the route, and takes a place of the waiters for each of its executions. Over HTTP/1.1
// its handler returns before the first step.
func (x *exchange) wait(executions int, until time.Time, first step) error {
	if x.waiter != nil { // the request has waited before, and now waits for something else
		x.waiter.Prolong(until)
		x.step = first
		return first(x)
	}
	if err := x.server.waiters.add(x, executions, until); err != nil {
		return err
	}
	x.leave()
	x.step = first
	if w, ok := x.w.(*wire.Response); ok {
		x.r = slim(x.r)
		x.id[0] = strings.Clone(x.id[0])
		x.waits = true
		w.Detach(x)
		return nil
	}
	defer x.server.waiters.remove(x)
	_ = http.NewResponseController(x.w).SetWriteDeadline(time.Time{}) // the answer gets a new one
	defer context.AfterFunc(x.r.Context(), x.HangUp)()
	return x.stepByStep()
}

// stepByStep runs the steps of a request until it is answered.
func (x *exchange) stepByStep() error {
	for {
		x.waits = false
		if err := x.step(x); err != nil || !x.waits {
			return err
		}
		<-x.signals
	}
}

// again lets a request wait further. The request is continued when something happens, and
// at the given time at the latest; zero: at the end of its wait.
func (x *exchange) again(latest time.Time) error {
	x.waiter.WakeAt(latest)
	x.waits = true
	return nil
}

// Continue implements wire.Waiting.
func (x *exchange) Continue() bool {
	x.waits = false
	defer func() {
		if !x.waits {
			x.server.waiters.remove(x)
		}
	}()
	defer x.end()
	if err := x.step(x); err != nil {
		x.waits = false
		x.fail(err)
	}
	return x.waits
}

// HangUp implements wire.Waiting.
func (x *exchange) HangUp() { x.waiter.End(waiting.ErrClientGone) }

// detach is wait for a request that has only one step, which lasts as long as the wait.
// The context of the request ends with the wait, and its cause says why.
func (x *exchange) detach(executions int, until time.Time, rest step) error {
	return x.wait(executions, until, func(x *exchange) error {
		ctx, release := x.waiter.Context(x.r.Context())
		defer release()
		x.r = x.r.WithContext(ctx)
		return rest(x)
	})
}

// slim returns a copy of the parts of a request that are still needed while it waits.
// Some clients send very large headers, and each substring would keep all of them in
// memory.
func slim(r *http.Request) *http.Request {
	s := &http.Request{Method: strings.Clone(r.Method), URL: &url.URL{Path: strings.Clone(r.URL.Path)}, Body: http.NoBody}
	for _, name := range []string{"If-None-Match", "Accept-Encoding", "Last-Event-Id"} {
		for _, value := range r.Header[name] {
			if s.Header == nil {
				s.Header = http.Header{}
			}
			s.Header[name] = append(s.Header[name], strings.Clone(value))
		}
	}
	return s.WithContext(r.Context())
}
