package wire

import (
	"net/http"
	"strings"
)

// The handler of a waiting request returns. Only the connection and the unsent answer
// remain: no goroutine, no buffer. The code that notices a change calls Wake, which
// continues the request on a new goroutine. In the meantime nothing reads from the
// connection. What the client sends next stays in the kernel, and the sweep notices if the
// client hangs up.

// Waiting is a waiting request.
type Waiting interface {
	// Continue continues the request, and reports whether it still waits. If so, Continue
	// is called again after Wake. Otherwise the request has been answered.
	Continue() (waits bool)
	// HangUp is called if the client hangs up in the meantime.
	HangUp()
}

// The states of a waiting request. Only one goroutine at a time runs Continue.
const (
	running uint32 = iota
	again          // Wake was called in the meantime
	parked         // no goroutine
)

// Detach lets a request wait. It is continued when its handler has returned, and then
// after each Wake. The request and the header of the answer that the handler received must
// not be used any more.
func (w *Response) Detach(r Waiting) {
	if w.hot != nil { // a detached request is not reused
		w.hot.request, w.hot.values = nil, [hotFields][1]string{}
		w.conn.hot, w.hot = nil, nil
	}
	w.method = strings.Clone(w.method) // because it is a substring of the whole head
	w.waiting = r
}

// Wake continues a waiting request. It may be called at any time and from any goroutine, and does
// not block. Calls while the request is being continued count as one.
func (w *Response) Wake() {
	for {
		switch turn := w.turn.Load(); {
		case turn == again, turn == running && w.turn.CompareAndSwap(running, again):
			return
		case turn == parked && w.turn.CompareAndSwap(parked, running):
			go w.conn.resume(w)
			return
		}
	}
}

// park reports whether there is nothing to do for a waiting request. If so, another
// goroutine may already run it.
func (w *Response) park() bool {
	if w.turn.CompareAndSwap(running, parked) {
		return true
	}
	w.turn.Store(running)
	return false
}

// wait gives back what is not needed while a request waits.
func (c *conn) wait(w *Response) {
	c.in.keep()
	if c.enter(waiting) == nil {
		c.waits.Store(w)
	}
	go c.resume(w) // its stack has not grown while a request was read
}

// resume continues a waiting request and, after its answer, the next request.
func (c *conn) resume(w *Response) {
	for waits := true; waits; {
		waits = false // unless it panics
		c.handle(w, func() { waits = w.waiting.Continue() })
		if waits && w.park() {
			return
		}
	}
	w.release()
	c.waits.Store(nil)
	if c.enter(busy) != nil || !w.finish() {
		c.drainAndClose()
		return
	}
	c.serve()
}

// hangUp ends the wait of a client that has closed the connection.
func (w *Response) hangUp() {
	w.gone.Store(true)
	w.waiting.HangUp()
}

var _ http.ResponseWriter = (*Response)(nil)
