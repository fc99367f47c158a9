package httpapi

import (
	"context"
	"net/http"
	"time"

	"statuscache/httpapi/internal/conns"
)

// detach lets a request wait, until a certain time at most: it gives back its place of
// the route and takes one of the waiters for each of its executions. Over HTTP/1.1 its
// connection is parked, and rest is called with a copy of the exchange after detach has
// returned. The context of the request ends when the wait does, and the cause says why.
func (x *exchange) detach(executions int, until time.Time, rest func(*exchange) error) error {
	if x.waiter != nil { // it has waited already, and now waits for something else
		x.waiter.over.Reset(time.Until(until))
		return rest(x)
	}
	one, err := x.server.waiters.add(x, executions, until)
	if err != nil {
		return err
	}
	x.leave()
	if p := conns.Park(x.w, x.r, one.end); p != nil {
		y := *x
		x.moved = true
		y.waiter = one
		y.w, y.r = p, slim(x.r).WithContext(one.ctx)
		p.Header()["X-Request-Id"] = y.id[:]
		go y.resume(p, one, rest)
		return nil
	}
	defer x.server.waiters.remove(one)
	_ = http.NewResponseController(x.w).SetWriteDeadline(time.Time{}) // the answer gets one of its own
	defer context.AfterFunc(x.r.Context(), func() { one.end(errClientGone) })()
	x.r, x.waiter = x.r.WithContext(one.ctx), one
	return rest(x)
}

// slim returns what is still needed of a request that waits. Some clients send headers
// that are larger than everything else.
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

// resume continues with a request whose connection is parked.
func (x *exchange) resume(p *conns.Parked, one *waiter, rest func(*exchange) error) {
	defer p.Finish()
	defer x.server.waiters.remove(one)
	defer x.end()
	if err := rest(x); err != nil {
		x.fail(err)
	}
}
