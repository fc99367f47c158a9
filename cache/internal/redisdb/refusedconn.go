package redisdb

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// refusedAtOnce is how an answer begins with which Redis closes a connection before it has
// read anything from it.
var refusedAtOnce = [][]byte{[]byte("-ERR max number of clients reached"), []byte("-DENIED ")}

// refusedConn is why Redis accepts no connection. It is no answer to a command.
type refusedConn string

// Error returns what Redis said.
func (r refusedConn) Error() string { return string(r) }

// Timeout and Temporary make it an error of the network, as which it is handled.
func (refusedConn) Timeout() bool   { return false }
func (refusedConn) Temporary() bool { return true }

// greetedConn is a connection that fails with what Redis says when it refuses it. go-redis
// takes that for the answer of an old server to its first command, sends the next one, and
// reports a broken pipe.
type greetedConn struct {
	*net.TCPConn
	heard bool // the first answer was read
}

// Read implements net.Conn.
func (c *greetedConn) Read(b []byte) (int, error) {
	n, err := c.TCPConn.Read(b)
	if c.heard || n == 0 {
		return n, err
	}
	c.heard = true
	if refused := refusedBy(b[:n]); refused != nil {
		return 0, refused
	}
	return n, err
}

// refusedBy returns the refusal that an answer is, nil if it is none.
func refusedBy(answer []byte) error {
	if !slices.ContainsFunc(refusedAtOnce, func(start []byte) bool { return bytes.HasPrefix(answer, start) }) {
		return nil
	}
	line, _, _ := bytes.Cut(answer[1:], []byte("\r\n"))
	return refusedConn(line)
}

// isAnswer reports whether Redis said something, be it that it accepts no connection.
func isAnswer(err error) bool {
	_, refused := errors.AsType[refusedConn](err)
	_, answered := errors.AsType[redis.Error](err)
	return refused || answered
}

// refusal returns with what Redis refuses a connection, nil if it does not. A connection on
// which something was sent may be reset before that could be read.
func (a *address) refusal(ctx context.Context, dial Dialer, err error) error {
	if a.tls || isAnswer(err) {
		return nil
	}
	conn, dialErr := a.dialFirst(ctx, dial)
	if dialErr != nil {
		return nil
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetReadDeadline(time.Now().Add(DefaultReadLimit)) // a connection that refuses it fails at once
	var first [256]byte
	n, _ := conn.Read(first[:]) // nothing, unless it is refused
	return refusedBy(first[:n])
}

// plainDialer returns what dials without TLS.
func (a *address) plainDialer(dial Dialer) Dialer {
	_, limit := a.bounds(writes)
	if dial == nil {
		dial = (&net.Dialer{Timeout: limit, KeepAliveConfig: keepAlive}).DialContext
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if tcp, ok := conn.(*net.TCPConn); ok && err == nil {
			return &greetedConn{TCPConn: tcp}, nil
		}
		return conn, err
	}
}
