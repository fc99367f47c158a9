//go:build unix

package wire

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// fillEmpty is fill for an input without a buffer. It takes a buffer only when there is
// something to read.
func (c *conn) fillEmpty() error {
	if c.raw == nil || !c.Plain {
		return c.fillBehindOne()
	}
	if err := c.raw.Read(c.tryRead); err != nil {
		return err
	}
	return c.readError
}

// readNow reads without waiting, and reports whether there was something to read.
func (c *conn) readNow(fd uintptr) bool {
	n, err := syscall.Read(int(fd), c.in.room())
	for errors.Is(err, syscall.EINTR) {
		n, err = syscall.Read(int(fd), c.in.room())
	}
	if n > 0 {
		c.in.end, c.readError = n, nil
		return true
	}
	c.in.drop()
	if errors.Is(err, syscall.EAGAIN) {
		return false
	}
	c.readError = io.EOF
	if err != nil {
		c.readError = &net.OpError{Op: "read", Net: "tcp", Err: err}
	}
	return true
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
