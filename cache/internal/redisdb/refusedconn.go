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

// refusedAtOnce is the beginning of the answer with which Redis closes a connection before
// it has read anything.
var refusedAtOnce = [][]byte{[]byte("-ERR max number of clients reached"), []byte("-DENIED ")}

// refusedConn is the error of a connection that Redis does not accept. It is not an answer to a
// command.
type refusedConn string

// Error returns what Redis said.
func (r refusedConn) Error() string { return string(r) }

// Timeout and Temporary make it a network error, so that it is handled as one.
func (refusedConn) Timeout() bool   { return false }
func (refusedConn) Temporary() bool { return true }

// greetedConn is a connection that fails with the message of Redis if it is refused.
// Without this, go-redis takes the message for the answer of an old server to its first
// command, sends the next one, and reports a broken pipe.
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

// refusedBy returns the error for an answer that refuses the connection, nil for other answers.
func refusedBy(answer []byte) error {
	if !slices.ContainsFunc(refusedAtOnce, func(start []byte) bool { return bytes.HasPrefix(answer, start) }) {
		return nil
	}
	line, _, _ := bytes.Cut(answer[1:], []byte("\r\n"))
	return refusedConn(line)
}

// isAnswer reports whether Redis has answered, even if it only refused the connection.
func isAnswer(err error) bool {
	_, refused := errors.AsType[refusedConn](err)
	_, answered := errors.AsType[redis.Error](err)
	return refused || answered
}

// refusal returns the error with which Redis refuses a connection, nil if it does not. If
// something has been sent on the connection, it may be reset before the message can be
// read.
func (a *address) refusal(ctx context.Context, dial Dialer, err error) error {
	if a.tls || isAnswer(err) {
		return nil
	}
	conn, dialErr := a.dialFirst(ctx, dial)
	if dialErr != nil {
		return nil
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetReadDeadline(time.Now().Add(DefaultReadLimit)) // a connection without deadlines fails at once
	var first [256]byte
	n, _ := conn.Read(first[:]) // nothing arrives unless the connection is refused
	return refusedBy(first[:n])
}

// plainDialer returns a dialer without TLS.
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
