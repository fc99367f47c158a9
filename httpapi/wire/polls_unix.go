//go:build unix

package wire

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// polls answers polls until there is something else to do: another kind of request, whose
// beginning is then in the input, or the returned answer, which must be finished.
func (c *conn) polls() (unfinished *Response, err error) {
	if c.raw == nil || !c.Plain || !c.in.empty() {
		return nil, nil
	}
	if err := c.enter(c.resting()); err != nil {
		return nil, err
	}
	c.unfinished, c.readError = nil, nil
	err = c.raw.Read(c.onReadable)
	if c.holding = false; err == nil {
		err = c.readError
	}
	return c.unfinished, err
}

// readable reads and answers polls, and reports whether something else is to be done. If not,
// RawConn.Read calls it again when there is something to read. It has a buffer only then.
func (c *conn) readable(fd uintptr) bool {
	c.holding = true
	for {
		n, errno := readSocket(fd, c.in.free())
		if n > 0 {
			if c.in.end = n; !c.answerPoll() || !c.in.empty() {
				return true
			}
			continue
		}
		c.in.drop()
		switch errno {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return false
		case 0:
			c.readError = io.EOF
		default:
			c.readError = &net.OpError{Op: "read", Net: "tcp", Err: errno}
		}
		return true
	}
}

// writeNow sends as much as the socket takes at once, and returns how much that was.
func (c *conn) writeNow(b []byte) int {
	if !c.holding {
		return 0
	}
	n, _ := writeSocket(uintptr(c.fd), b) // the next write returns the error
	return n
}

// awaitFirst waits for the first byte of the socket, and does not read it.
func (c *conn) awaitFirst() error {
	if c.raw == nil {
		return nil
	}
	return c.raw.Read(func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), c.one[:], syscall.MSG_PEEK)
		for errors.Is(err, syscall.EINTR) {
			_, _, err = syscall.Recvfrom(int(fd), c.one[:], syscall.MSG_PEEK)
		}
		return !errors.Is(err, syscall.EAGAIN) // the next read returns other errors
	})
}
