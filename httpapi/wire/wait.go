package wire

import (
	"context"
	"net/http"
)

// A request that waits has its handler return. What is left meanwhile is the connection,
// the answer that has not begun, and one small stack: rest runs on a goroutine of its
// own, whose stack has not grown while a request was read. Nobody reads from the
// connection. What the client sends next stays in the kernel, and that it hangs up is
// found by the sweep.

// Detach lets a request wait. rest is called when its handler has returned, and answers
// it; end is called if the client hangs up meanwhile. Of the request and of the header
// of the answer nothing may be used that the handler got before.
func (w *Response) Detach(end context.CancelCauseFunc, rest func()) {
	if w.hot != nil {
		w.conn.hot, w.hot = nil, nil // what waits is not used again
	}
	w.end, w.rest = end, rest
}

// wait gives back what is not needed while a request waits, and leaves the connection to
// its rest.
func (c *conn) wait(w *Response) {
	c.in.keep()
	if c.enter(waiting) == nil {
		c.waits.Store(w)
	}
	go c.resume(w)
}

// resume answers a request that waits, and continues with the next one.
func (c *conn) resume(w *Response) {
	rest := w.rest
	w.rest = nil
	c.handle(w, rest)
	w.release()
	c.waits.Store(nil)
	if c.enter(busy) != nil || !w.finish() {
		c.linger()
		return
	}
	c.serve()
}

// hangUp ends the wait of a client that has gone.
func (w *Response) hangUp() {
	w.gone.Store(true)
	w.end(ErrClientGone)
}

var _ http.ResponseWriter = (*Response)(nil)
