package httpapi

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// lastCall is how long connections that have begun are still accepted before the
	// listener closes: those that it had not accepted would be reset.
	lastCall = 100 * time.Millisecond
	// leaveLimit is how long that may take where nothing can be accepted.
	leaveLimit = 2 * time.Second
)

// door is the listener of the public. It knows when no connection can be accepted,
// and closes without cutting off somebody who has just come.
type door struct {
	net.Listener
	errors  *acceptErrors
	leaving atomic.Bool
	left    chan struct{} // closed when nobody more comes
	once    sync.Once
	closed  chan struct{}
}

func newDoor(l net.Listener, errors *acceptErrors) *door {
	return &door{Listener: l, errors: errors, left: make(chan struct{}), closed: make(chan struct{})}
}

// Accept implements net.Listener.
func (d *door) Accept() (net.Conn, error) {
	c, err := d.Listener.Accept()
	switch {
	case err == nil:
		return &impatientConn{Conn: c}, nil
	case d.leaving.Load():
		_ = d.Listener.Close()
		close(d.left)
		<-d.closed
		return nil, net.ErrClosed
	case !errors.Is(err, net.ErrClosed):
		d.errors.note(err)
	}
	return nil, err
}

// Close implements net.Listener.
func (d *door) Close() error {
	d.once.Do(func() { close(d.closed) })
	if err := d.Listener.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil // after leave
}

// leave lets nobody in any more. It returns when those who had come have been
// accepted.
func (d *door) leave() {
	l, ok := d.Listener.(*net.TCPListener)
	if !ok {
		return
	}
	refuse(l)
	d.leaving.Store(true)
	if l.SetDeadline(time.Now().Add(lastCall)) != nil {
		return // it is closed
	}
	select {
	case <-d.left:
	case <-time.After(leaveLimit):
	}
}
