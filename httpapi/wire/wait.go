package wire

import (
	"net/http"
	"strings"
)

// A request that waits has its handler return. What is left meanwhile is the connection
// and the answer that has not begun: no goroutine, no buffer. The code that has news calls
// Wake, which continues with the request on a goroutine of its own. Nobody reads from the
// connection. What the client sends next stays in the kernel, and that it hangs up is
// found by the sweep.

// Waiting is a request that waits.
type Waiting interface {
	// Continue continues with the request, and reports whether it still waits: then it is
	// called again after Wake. Otherwise the request has been answered.
	Continue() (waits bool)
	// HangUp is called if the client hangs up meanwhile.
	HangUp()
}

// The turns of a request that waits. Only one goroutine at a time is within Continue.
const (
	running uint32 = iota
	again          // Wake was called meanwhile
	parked         // no goroutine
)

// Detach lets a request wait. It is continued when its handler has returned, and then
// after each Wake. Of the request and of the header of the answer nothing may be used that
// the handler got before.
func (w *Response) Detach(r Waiting) {
	if w.hot != nil { // what waits is not used again
		w.hot.request, w.hot.values = nil, [hotFields][1]string{}
		w.conn.hot, w.hot = nil, nil
	}
	w.method = strings.Clone(w.method) // the text that it is a part of is the whole head
	w.waiting = r
}

// Wake has a request continued that waits. It may be called at any time and from any goroutine, and
// does not block. Calls that come while the request is being continued count as one.
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

// park reports whether there is nothing to do for a request that waits. Then another
// goroutine may have it already.
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

// resume continues with a request that waits, and once it is answered with the next one.
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
		c.linger()
		return
	}
	c.serve()
}

// hangUp ends the wait of a client that has gone.
func (w *Response) hangUp() {
	w.gone.Store(true)
	w.waiting.HangUp()
}

var _ http.ResponseWriter = (*Response)(nil)
