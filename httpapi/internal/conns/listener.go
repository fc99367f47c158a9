package conns

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// acceptLonger is how long connections that have begun are still accepted before the
	// listener closes: those that it had not accepted would be reset.
	acceptLonger = 100 * time.Millisecond
	// stopLimit is how long that may take where nothing can be accepted.
	stopLimit = 5 * time.Second
	// freshLimit is how long connections that have just begun may take for their request: a
	// server of net/http that is shutting down reads it and does not answer.
	freshLimit = 5 * time.Second
	freshCheck = 10 * time.Millisecond
)

// publicListener is the listener of the public. It records when no connection can be
// accepted, and closes without cutting off a connection that has just begun.
type publicListener struct {
	net.Listener
	errors   *acceptErrors
	spare    uint64       // the greatest file descriptor that a connection may have; 0: any
	fresh    atomic.Int64 // connections on which nothing was answered yet
	latest   time.Time    // when stop has to be over; written before stopping
	stopping atomic.Bool
	stopped  chan struct{} // closed when no connection will be accepted any more
	once     sync.Once
	closed   chan struct{}
}

func newPublicListener(l net.Listener, errors *acceptErrors, files uint64) *publicListener {
	p := &publicListener{Listener: l, errors: errors, stopped: make(chan struct{}), closed: make(chan struct{})}
	if files > 0 {
		p.spare = files - min(files/3, filesKept)
	}
	return p
}

// filesKept are file descriptors that the public cannot have: the admin port, Redis, the
// queue, keys and certificates need some, above all while there are too many connections.
const filesKept = 500

// spares reports whether a connection leaves enough file descriptors for others. The
// system gives the lowest that is free, so its number shows how many are open.
func (p *publicListener) spares(c net.Conn) bool {
	tcp, ok := c.(*net.TCPConn)
	if !ok || p.spare == 0 {
		return true
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return true
	}
	enough := true
	_ = raw.Control(func(fd uintptr) { enough = uint64(fd) <= p.spare })
	return enough
}

// Accept implements net.Listener.
func (p *publicListener) Accept() (net.Conn, error) {
	for {
		c, err := p.Listener.Accept()
		if err == nil && !p.spares(c) {
			_ = c.Close()
			c, err = nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
		}
		switch {
		case err == nil:
			return &limitedConn{Conn: c}, nil
		case !p.stopping.Load():
			if !errors.Is(err, net.ErrClosed) {
				p.errors.note(err)
			}
			return nil, err
		case errors.Is(err, os.ErrDeadlineExceeded) && p.extend():
			continue
		}
		_ = p.Listener.Close()
		close(p.stopped)
		<-p.closed
		return nil, net.ErrClosed
	}
}

// extend gives more time where connections are still to be accepted.
func (p *publicListener) extend() bool {
	l, ok := p.Listener.(*net.TCPListener)
	return ok && time.Now().Before(p.latest) && pending(l) && l.SetDeadline(time.Now().Add(acceptLonger)) == nil
}

// Close implements net.Listener.
func (p *publicListener) Close() error {
	p.once.Do(func() { close(p.closed) })
	if err := p.Listener.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil // after stop
}

// follow is the ConnState of the server.
func (p *publicListener) follow(c net.Conn, state http.ConnState) {
	if state == http.StateActive {
		return
	}
	conn := innermost(c)
	switch {
	case conn == nil:
	case state == http.StateNew:
		if conn.fresh.CompareAndSwap(false, true) {
			p.fresh.Add(1)
		}
	case conn.fresh.Load() && conn.fresh.CompareAndSwap(true, false):
		p.fresh.Add(-1)
	}
}

func innermost(c net.Conn) *limitedConn {
	for {
		switch outer := c.(type) {
		case *limitedConn:
			return outer
		case *tlsConn:
			c = outer.tls.NetConn()
		case *returnedConn:
			c = outer.Conn
		case *preconnectConn:
			c = outer.Conn
		default:
			return nil
		}
	}
}

// stop accepts no new connections. It returns when those that had begun have been
// accepted, and the first request of each has been answered.
func (p *publicListener) stop(ctx context.Context, server *http.Server) {
	p.stopAccepting()
	server.SetKeepAlivesEnabled(false)
	ctx, cancel := context.WithTimeout(ctx, freshLimit)
	defer cancel()
	tick := time.NewTicker(freshCheck)
	defer tick.Stop()
	for p.fresh.Load() > 0 && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// stopAccepting closes the listener behind the last connection that has begun.
func (p *publicListener) stopAccepting() {
	l, ok := p.Listener.(*net.TCPListener)
	if !ok {
		return
	}
	refuse(l)
	p.latest = time.Now().Add(stopLimit)
	p.stopping.Store(true)
	if l.SetDeadline(time.Now().Add(acceptLonger)) != nil {
		return // it is closed
	}
	select {
	case <-p.stopped:
	case <-time.After(stopLimit + acceptLonger):
	}
}
