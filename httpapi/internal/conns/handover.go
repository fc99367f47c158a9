package conns

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// handed has the connections that are handed over to net/http. For net/http it is their
// listener.
type handed struct {
	addr       net.Addr
	unanswered atomic.Int64 // connections on which net/http has not answered yet
	next       chan net.Conn
	closed     chan struct{}
	once       sync.Once
}

func newHanded(addr net.Addr) *handed {
	return &handed{addr: addr, next: make(chan net.Conn), closed: make(chan struct{})}
}

// take hands over a connection unless net/http accepts no more.
func (h *handed) take(c net.Conn) bool {
	h.unanswered.Add(1)
	select {
	case h.next <- c:
		return true
	case <-h.closed:
		h.unanswered.Add(-1)
		return false
	}
}

// Accept implements net.Listener.
func (h *handed) Accept() (net.Conn, error) {
	select {
	case c := <-h.next:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handed) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// Addr implements net.Listener.
func (h *handed) Addr() net.Addr { return h.addr }

// follow is the ConnState of the server.
func (h *handed) follow(c net.Conn, state http.ConnState) {
	if state == http.StateNew || state == http.StateActive {
		return
	}
	if u := unreadOf(c); u != nil && u.answered.CompareAndSwap(false, true) {
		h.unanswered.Add(-1)
	}
}

// How long connections may take for their first answer: a net/http server that is
// shutting down reads the first request of a connection but does not answer it.
const (
	answerLimit = 5 * time.Second
	answerCheck = 10 * time.Millisecond
)

// settle returns when net/http has answered a request on each connection.
func (h *handed) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	tick := time.NewTicker(answerCheck)
	defer tick.Stop()
	for h.unanswered.Load() > 0 && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// unreadConn is a connection from which bytes were read that must be read again.
type unreadConn struct {
	net.Conn
	unread   []byte
	answered atomic.Bool
}

// Read implements net.Conn.
func (c *unreadConn) Read(b []byte) (int, error) {
	if len(c.unread) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.unread)
	c.unread = c.unread[n:]
	return n, nil
}

// CloseWrite implements the interface with which net/http ends its side of a connection.
// Without it the answer to an incomplete request would be lost.
func (c *unreadConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

func unreadOf(c net.Conn) *unreadConn {
	switch outer := c.(type) {
	case plainConn:
		return outer.unreadConn
	case *tlsConn:
		return outer.unreadConn
	}
	return nil
}

// plainConn is a connection of net/http without TLS.
type plainConn struct{ *unreadConn }

// Write implements net.Conn.
func (c plainConn) Write(b []byte) (int, error) { return writeInOurForm(c.Conn, b) }
