package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"statuscache/httpapi/wire"
)

// detach lets a request wait, until a certain time at most: it gives back its place of
// the route and takes one of the waiters for each of its executions. Over HTTP/1.1 its
// handler returns first, and rest is called with a copy of the exchange after that. The
// context of the request ends when the wait does, and the cause says why.
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
	if w, ok := x.w.(*wire.Response); ok {
		y := *x
		x.moved = true
		y.waiter = one
		y.r = slim(x.r).WithContext(one.ctx)
		y.id[0] = strings.Clone(y.id[0])
		y.w.Header()["X-Request-Id"] = y.id[:]
		w.Detach(one.end, func() { y.resume(one, rest) })
		return nil
	}
	defer x.server.waiters.remove(one)
	_ = http.NewResponseController(x.w).SetWriteDeadline(time.Time{}) // the answer gets one of its own
	defer context.AfterFunc(x.r.Context(), func() { one.end(errClientGone) })()
	x.r, x.waiter = x.r.WithContext(one.ctx), one
	return rest(x)
}

// slim returns a copy of what is still needed of a request that waits. Some clients send
// headers that are larger than everything else, and each text keeps all of them in memory
// that it is a part of.
func slim(r *http.Request) *http.Request {
	s := &http.Request{Method: r.Method, URL: &url.URL{Path: strings.Clone(r.URL.Path)}, Body: http.NoBody}
	for _, name := range []string{"If-None-Match", "Accept-Encoding", "Last-Event-Id"} {
		for _, value := range r.Header[name] {
			if s.Header == nil {
				s.Header = http.Header{}
			}
			s.Header[name] = append(s.Header[name], strings.Clone(value))
		}
	}
	return s
}

// resume continues with a request that waits.
func (x *exchange) resume(one *waiter, rest func(*exchange) error) {
	defer x.server.waiters.remove(one)
	defer x.end()
	if err := rest(x); err != nil {
		x.fail(err)
	}
}
