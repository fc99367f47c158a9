package conns

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// acceptLonger is how long new connections are still accepted before the listener
	// closes: connections that it has not accepted would be reset.
	acceptLonger = 100 * time.Millisecond
	// stopLimit is how long that may take if nothing can be accepted.
	stopLimit = 5 * time.Second
)

// publicListener is the public listener. It records when no connection can be accepted,
// and closes without resetting a connection that has just begun.
type publicListener struct {
	net.Listener
	errors   *acceptErrors
	spare    uint64 // the greatest file descriptor that a connection may have; 0: any
	admit    func(net.Addr) (leave func(), ok bool)
	latest   time.Time // when stop has to be over; written before stopping
	stopping atomic.Bool
	stopped  chan struct{} // closed when no connection will be accepted any more
}

func newPublicListener(l net.Listener, o Options) *publicListener {
	p := &publicListener{Listener: l, errors: o.Faults.accepts, spare: Most(o.OpenFiles), admit: o.Admit, stopped: make(chan struct{})}
	if p.admit == nil {
		p.admit = func(net.Addr) (func(), bool) { return nil, true }
	}
	return p
}

// Most returns the maximum number of public connections for a process that may open files
// file descriptors; 0: no bound.
func Most(files uint64) uint64 { return files - min(files/3, filesKept) }

// filesKept is the number of file descriptors that public connections cannot use. The
// admin port, Redis, the queue, keys and certificates need some, especially while there
// are too many connections.
const filesKept = 500

// spares reports whether a connection leaves enough file descriptors for other uses. The
// system assigns the lowest free number, so the number shows how many are open.
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

// How long to wait before the next try to accept a connection, after an error.
const (
	retryAfter  = 5 * time.Millisecond // doubles with each error
	retryAtMost = time.Second
	closePause  = time.Millisecond // after a connection was closed because too few files are left: others wait behind it
)

// errFull means that a connection was closed because too few files would be left.
var errFull = &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}

// acceptAll accepts connections until the listener is stopped.
func (p *publicListener) acceptAll(serve func(*limitedConn)) error {
	retry := retryAfter
	for {
		c, err := p.accept()
		switch {
		case err == nil:
			retry = retryAfter
			p.begin(c, serve)
		case p.stopping.Load():
			_ = p.Close()
			close(p.stopped)
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept connections on %s: %w", p.Addr(), err)
		case errors.Is(err, errFull):
			p.errors.note(err)
			time.Sleep(closePause)
		default:
			p.errors.note(err)
			time.Sleep(retry)
			retry = min(2*retry, retryAtMost)
		}
	}
}

// begin serves a connection unless its client has too many.
func (p *publicListener) begin(c net.Conn, serve func(*limitedConn)) {
	leave, ok := p.admit(c.RemoteAddr())
	if !ok {
		p.errors.refused(c.RemoteAddr())
		_ = c.Close()
		return
	}
	go serve(&limitedConn{Conn: c, leave: leave})
}

// accept returns the next connection that leaves enough file descriptors for other uses.
// While the listener is stopping, it still returns connections that have begun.
func (p *publicListener) accept() (net.Conn, error) {
	for {
		c, err := p.Accept()
		if err == nil && !p.spares(c) {
			_ = c.Close()
			c, err = nil, errFull
		}
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) || !p.extend() {
			return c, err
		}
	}
}

// extend adds time if there are still connections to accept.
func (p *publicListener) extend() bool {
	l, ok := p.Listener.(*net.TCPListener)
	return ok && time.Now().Before(p.latest) && pending(l) && l.SetDeadline(time.Now().Add(acceptLonger)) == nil
}

// stopAccepting closes the listener after the last connection that has begun.
func (p *publicListener) stopAccepting() {
	p.latest = time.Now().Add(stopLimit)
	p.stopping.Store(true)
	l, ok := p.Listener.(*net.TCPListener)
	if !ok {
		_ = p.Close()
		return
	}
	refuse(l)
	if l.SetDeadline(time.Now().Add(acceptLonger)) != nil {
		return // the listener is closed
	}
	select {
	case <-p.stopped:
	case <-time.After(stopLimit + acceptLonger):
	}
}
