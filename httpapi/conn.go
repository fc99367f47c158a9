package httpapi

import (
	"errors"
	"net"
	"sync/atomic"
	"time"
)

const (
	writeLimit   = 6 * time.Second // for a piece to be taken, at most
	writeRenewed = 2 * time.Second // how often the deadline is moved at most
	writePiece   = 64 << 10        // bytes
)

// impatientListener accepts connections that do not wait for ever for somebody
// who does not read. One deadline for a whole answer would not do: an answer may
// take long and a stream never ends, so each piece has one of its own.
type impatientListener struct{ net.Listener }

func (l impatientListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &impatientConn{Conn: c}, nil
}

type impatientConn struct {
	net.Conn
	renewed atomic.Int64 // when the deadline was moved last, in ns since begun
}

// begun is what connections count time from, by a clock that nobody sets.
var begun = time.Now()

// Write fails if a piece is not taken within 4 to 6 seconds.
func (c *impatientConn) Write(b []byte) (written int, err error) {
	for {
		if err := c.renew(); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(b[:min(len(b), writePiece)])
		written += n
		if b = b[n:]; err != nil || len(b) == 0 {
			return written, err
		}
	}
}

// renew moves the deadline, seldom: it costs more than the rest of a write that
// does not wait.
func (c *impatientConn) renew() error {
	now := time.Since(begun)
	if last := c.renewed.Load(); last != 0 && int64(now)-last < int64(writeRenewed) {
		return nil
	}
	c.renewed.Store(int64(now))
	return c.Conn.SetWriteDeadline(time.Now().Add(writeLimit))
}

// SetWriteDeadline implements net.Conn. net/http lifts the deadline behind each
// answer, which would leave the next one without any: an own deadline is as good
// as none for who writes, because each write moves it.
func (c *impatientConn) SetWriteDeadline(t time.Time) error {
	if t.IsZero() {
		return nil
	}
	c.renewed.Store(0)
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline implements net.Conn.
func (c *impatientConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// CloseWrite lets net/http say that it has said all, before it closes: without it
// the answer to a request that is cut off would be lost.
func (c *impatientConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
