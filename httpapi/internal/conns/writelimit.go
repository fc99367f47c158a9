package conns

import (
	"net"
	"sync/atomic"
	"time"
)

const (
	WriteLimit   = 6 * time.Second // for a piece to be taken, at most
	writeRenewed = 2 * time.Second // how often the deadline is moved at most
	WritePiece   = 64 << 10        // bytes
)

// limitedConn does not wait forever for a client that does not read. One deadline
// for a whole answer would not do: an answer may take long and a stream never ends,
// so each piece has one of its own.
type limitedConn struct {
	net.Conn
	renewed atomic.Int64 // when the deadline was moved last, in ns since begun
	leave   func()       // is called when it is closed; nil: nothing is to be done
	closed  atomic.Bool
}

// begun is the time from which connections count, by a clock that is never set.
var begun = time.Now()

// Write fails if a piece is not taken within 4 to 6 seconds. The connection is of
// no use then, and is closed for reading too.
func (c *limitedConn) Write(b []byte) (written int, err error) {
	for {
		if err := c.renew(); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(b[:min(len(b), WritePiece)])
		written += n
		if err != nil {
			c.abandon()
			return written, err
		}
		if b = b[n:]; len(b) == 0 {
			return written, nil
		}
	}
}

// renew moves the deadline, seldom: it costs more than the rest of a write that
// does not wait.
func (c *limitedConn) renew() error {
	now := time.Since(begun)
	if last := c.renewed.Load(); last != 0 && int64(now)-last < int64(writeRenewed) {
		return nil
	}
	c.renewed.Store(int64(now))
	return c.Conn.SetWriteDeadline(time.Now().Add(WriteLimit))
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	if !c.closed.Swap(true) && c.leave != nil {
		c.leave()
	}
	return c.Conn.Close()
}

// abandon closes the connection without waiting for what was not taken, which
// would keep memory of the kernel for minutes.
func (c *limitedConn) abandon() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close() // the error of the write says what happened
}

// SetWriteDeadline implements net.Conn and does nothing: every write has a deadline
// of its own. net/http lifts those it knows of behind each answer, which would
// leave the next one without any.
func (c *limitedConn) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline implements net.Conn.
func (c *limitedConn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// CloseWrite lets net/http end its side of the connection before it closes: without it
// the answer to a request that is cut off would be lost.
func (c *limitedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
