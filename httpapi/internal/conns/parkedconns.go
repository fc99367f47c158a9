package conns

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
)

// parkedConns is the parked connections of one listener. To net/http it is a
// listener too: of the connections that are given back.
type parkedConns struct {
	addr     net.Addr
	draining *atomic.Bool // of the server: connections are closed behind their answers
	back     chan net.Conn
	closed   chan struct{}

	requests sync.WaitGroup // that are not answered yet

	mu  sync.Mutex
	all map[*Parked]struct{}
}

// parkedConnsKey is where the context of a request has the parkedConns of its listener.
type parkedConnsKey struct{}

func newParkedConns(addr net.Addr, draining *atomic.Bool) *parkedConns {
	return &parkedConns{addr: addr, draining: draining, back: make(chan net.Conn), closed: make(chan struct{}), all: map[*Parked]struct{}{}}
}

func (l *parkedConns) add(p *Parked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all[p] = struct{}{}
}

func (l *parkedConns) remove(p *Parked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.all, p)
}

// returnConn hands a connection to net/http, unless that takes no more.
func (l *parkedConns) returnConn(c net.Conn) bool {
	select {
	case l.back <- c:
		return true
	case <-l.closed:
		return false
	}
}

// Accept implements net.Listener.
func (l *parkedConns) Accept() (net.Conn, error) {
	select {
	case c := <-l.back:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Addr implements net.Listener.
func (l *parkedConns) Addr() net.Addr { return l.addr }

// Close implements net.Listener: nothing is given back any more, and connections
// without a request are closed.
func (l *parkedConns) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.closed:
		return nil
	default:
	}
	close(l.closed)
	for p := range l.all {
		select {
		case <-p.answered:
			_ = p.conn.Close()
		default: // listen closes it
		}
	}
	return nil
}

// drain returns when every request that waited has been answered. Nothing must be
// parked any more.
func (l *parkedConns) drain(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		l.requests.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting requests cut off at shutdown: %w", ctx.Err())
	}
}

// returnedConn is a connection whose next request has begun to arrive.
type returnedConn struct {
	net.Conn
	first []byte
}

// Read implements net.Conn.
func (c *returnedConn) Read(b []byte) (int, error) {
	if len(c.first) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.first)
	c.first = c.first[n:]
	return n, nil
}

// CloseWrite implements the interface by which net/http ends its side of a connection.
func (c *returnedConn) CloseWrite() error {
	closeWrite(c.Conn)
	return nil
}

// closeWrite signals to the client that nothing more comes, where that is possible
// without losing what is on its way.
func closeWrite(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}
