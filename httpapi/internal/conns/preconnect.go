package conns

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// preconnectListener accepts connections that may be opened ahead of need, as browsers
// and connection pools do: net/http counts the time for the headers of the first
// request from the moment the connection is there (go.dev/issue/54785), here it
// begins with the first byte. Until then a connection is idle.
type preconnectListener struct {
	net.Listener
	tls bool // it is spoken over the connections
}

// Accept implements net.Listener.
func (l preconnectListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	p := &preconnectConn{Conn: c, firsts: 1}
	if l.tls {
		p.firsts = 2 // of the handshake, and of what follows it
	}
	p.idle.Store(true)
	return p, nil
}

// preconnectConn is a connection on which nothing may arrive at first.
type preconnectConn struct {
	net.Conn
	idle atomic.Bool // the next byte is the first of something

	mu     sync.Mutex
	firsts int           // how many times it may still be idle
	limit  time.Duration // from the first byte on; 0: none was set
}

// Read implements net.Conn.
func (c *preconnectConn) Read(b []byte) (int, error) {
	if !c.idle.Load() {
		return c.Conn.Read(b)
	}
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.begins()
	}
	return n, err
}

// begins takes note of a first byte: the time for what it belongs to begins.
func (c *preconnectConn) begins() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.idle.Swap(false) {
		return
	}
	c.firsts--
	if c.limit > 0 {
		_ = c.Conn.SetReadDeadline(time.Now().Add(c.limit)) // only a closed one refuses
	}
}

// SetReadDeadline implements net.Conn. While the connection is idle, the deadline is
// the one of idle connections, and the time is kept for later.
func (c *preconnectConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.firsts > 0 && t.IsZero() { // the handshake is over
		c.idle.Store(true)
		c.limit = 0
	}
	limit := time.Until(t)
	if !c.idle.Load() || t.IsZero() || limit <= 0 {
		return c.Conn.SetReadDeadline(t)
	}
	c.limit = limit
	return c.Conn.SetReadDeadline(time.Now().Add(idleLimit))
}

// SetDeadline implements net.Conn.
func (c *preconnectConn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// CloseWrite implements the interface by which net/http ends its side of a connection.
func (c *preconnectConn) CloseWrite() error {
	closeWrite(c.Conn)
	return nil
}

// Write implements net.Conn.
func (c *preconnectConn) Write(b []byte) (int, error) { return writeInOurForm(c.Conn, b) }
