package conns

import (
	"net"
	"sync/atomic"
	"time"
)

const (
	WriteLimit   = 6 * time.Second // time for a client to receive a piece, at most
	writeRenewed = 2 * time.Second // the deadline is moved at most this often
	WritePiece   = 64 << 10        // bytes
)

// limitedConn does not wait forever for a client that does not read. Because an answer
// may take long and a stream never ends, each write has a separate deadline.
type limitedConn struct {
	net.Conn
	renewed atomic.Int64 // when the deadline was moved last, in ns since begun
	leave   func()       // called when the connection is closed; nil: nothing to do
	closed  atomic.Bool
}

// begun is the start of the monotonic clock of connections.
var begun = time.Now()

// Write fails if the client does not receive a piece within 4 to 6 seconds. The
// connection is then closed, for reading too.
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

// renew extends the deadline, but rarely, because that costs more than the rest of a
// write.
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

// abandon closes the connection without waiting for unsent data, which would occupy
// kernel memory for minutes.
func (c *limitedConn) abandon() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	go c.Close() // the error of the write is returned instead; a poll may hold the socket meanwhile
}

// SetWriteDeadline implements net.Conn and does nothing, because every write has its
// deadline. net/http clears the deadline after each answer, so the next answer would have
// none.
func (c *limitedConn) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline implements net.Conn.
func (c *limitedConn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// CloseWrite lets net/http end its side of the connection before it closes it. Without it
// the answer to an incomplete request would be lost.
func (c *limitedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
