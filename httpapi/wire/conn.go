package wire

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"statuscache/httpapi/internal/envelope"
)

// Conn is a connection to be served.
type Conn struct {
	net.Conn              // carries HTTP
	Socket   *net.TCPConn // the TCP connection below it; nil if there is none
	Plain    bool         // whether both carry the same bytes
	// Begin is called when the first byte has arrived, before anything is read: for the
	// TLS handshake. nil: nothing to do.
	Begin func() error
}

// conn is a connection while it is served. One goroutine at a time works on it.
type conn struct {
	Conn
	server *Server
	ctx    context.Context // of its requests
	fd     int32           // of the socket; -1: unknown
	raw    syscall.RawConn // nil: the socket is not known
	stage  atomic.Uint64   // the stage and when it must end, see connstate.go
	waits  atomic.Pointer[Response]

	in  input
	one [1]byte
	hot *hot // used by each poll in turn; nil: no poll yet

	onReadable func(fd uintptr) bool // readable, made once
	holding    bool                  // whether readable holds the socket
	unfinished *Response             // of readable; nil: none
	readError  error                 // likewise
}

// serve answers the requests of a connection, one after the other. A waiting request
// keeps the connection, see wait.
func (c *conn) serve() {
	for {
		w, err := c.polls()
		if w == nil && err == nil {
			w, err = c.answer()
		}
		switch {
		case err != nil:
			c.end()
			return
		case w == nil:
			return
		case w.waiting != nil:
			c.wait(w)
			return
		case !w.finish():
			c.drainAndClose()
			return
		}
	}
}

// answer reads a request of any kind and calls its handler. It returns nil if the connection is
// not served here any more.
func (c *conn) answer() (*Response, error) {
	var h head
	v, err := c.readHead(&h)
	if err != nil {
		return nil, err
	}
	if v == refused {
		c.refuse()
		return nil, nil
	}
	w, r := c.request(&h, v)
	if r == nil {
		c.handOver()
		return nil, nil
	}
	c.handle(w, func() { c.server.options.Handler.ServeHTTP(w, r) })
	return w, nil
}

// readHead reads the head of the next request. An error means that there is none.
func (c *conn) readHead(h *head) (verdict, error) {
	var s scanner
	for skipped := false; ; {
		size, v := s.scan(c.in.bytes())
		switch {
		case v == blank && !skipped:
			c.in.take(size)
			s, skipped = scanner{}, true
			continue
		case v == blank:
			return foreign, nil
		case v == known:
			return h.parse(string(c.in.bytes()[:size])), c.enter(busy)
		case v == foreign, len(c.in.bytes()) >= largeHead:
			return foreign, nil
		}
		if err := c.await(); err != nil {
			return v, err
		}
	}
}

// await waits for more of a head, or for its beginning.
func (c *conn) await() error {
	if !c.in.empty() {
		if stage(c.stage.Load()>>32) != begun { // its beginning was read together with the previous request, or by polls
			if err := c.enter(begun); err != nil {
				return err
			}
		}
		return c.fill()
	}
	if err := c.enter(c.resting()); err != nil {
		return err
	}
	if err := c.fill(); err != nil || c.in.empty() { // a read may return nothing
		return err
	}
	return c.enter(begun)
}

// begin waits for the first byte, and prepares the connection for reading requests.
func (c *conn) begin() error {
	if c.Begin == nil {
		return nil
	}
	if err := c.awaitFirst(); err != nil {
		return err
	}
	if err := c.enter(begun); err != nil {
		return err
	}
	if err := c.Begin(); err != nil {
		return err
	}
	return c.enter(fresh)
}

// handle calls a handler. A panic ends the connection, because the answer may be
// incomplete.
func (c *conn) handle(w *Response, call func()) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		w.broken = true
		if err, ok := v.(error); !ok || err != http.ErrAbortHandler { //nolint:errorlint // as net/http compares it
			c.server.options.Log.Error("a request handler panicked, and its connection was closed; this is a bug in statusd", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
	}()
	call()
}

// handOver gives the connection to net/http, with all bytes that were read but not answered.
func (c *conn) handOver() {
	c.in.keep()
	read := c.in.bytes()
	c.in = input{}
	c.server.forget(c)
	if !c.server.options.HandOver(c.Conn, read) {
		_ = c.Close()
	}
}

// refuse answers a request whose end is uncertain, after which nothing more is read.
func (c *conn) refuse() {
	_, _ = c.Write(envelope.Invalid("Transfer-Encoding: not allowed together with Content-Length, or in HTTP/1.0").RawResponse())
	c.drainAndClose()
}

// drainLimit is how long the client may take to receive the end of the last answer.
const drainLimit = time.Second

// drainAndClose closes the connection after an answer. If the client has sent more bytes,
// closing without reading them could destroy the answer.
func (c *conn) drainAndClose() {
	if half, ok := c.Conn.Conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_ = c.SetReadDeadline(time.Now().Add(drainLimit)) // only a closed one refuses
	_, _ = io.Copy(io.Discard, c.Conn)
	c.end()
}

// end closes the connection.
func (c *conn) end() {
	c.in.drop()
	c.server.forget(c)
	_ = c.Close()
}
