package httpapi

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// patientListener accepts connections that may be opened ahead of need, as browsers
// and connection pools do: net/http counts the time for the headers of the first
// request from the moment the connection is there (go.dev/issue/54785), here it
// begins with the first byte. Until then a connection is idle.
type patientListener struct {
	net.Listener
	tls bool // it is spoken over the connections
}

func (l patientListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	p := &patientConn{Conn: c, firsts: 1}
	if l.tls {
		p.firsts = 2 // of the handshake, and of what follows it
	}
	p.idle.Store(true)
	return p, nil
}

// patientConn is a connection that may say nothing at first.
type patientConn struct {
	net.Conn
	idle atomic.Bool // the next byte is the first of something

	mu     sync.Mutex
	firsts int           // how many times it may still be idle
	limit  time.Duration // from the first byte on; 0: none was set
}

// Read implements net.Conn.
func (c *patientConn) Read(b []byte) (int, error) {
	if !c.idle.Load() {
		return c.Conn.Read(b)
	}
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.begins()
	}
	return n, err
}

// begins takes note of a first byte: the time for what it belongs to begins.
func (c *patientConn) begins() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.idle.Swap(false) {
		return
	}
	c.firsts--
	if c.limit > 0 {
		_ = c.Conn.SetReadDeadline(time.Now().Add(c.limit)) // only a closed one refuses
	}
}

// SetReadDeadline implements net.Conn. While the connection is idle, the deadline is
// the one of idle connections, and the time is kept for later.
func (c *patientConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.firsts > 0 && t.IsZero() { // the handshake is over
		c.idle.Store(true)
		c.limit = 0
	}
	limit := time.Until(t)
	if !c.idle.Load() || t.IsZero() || limit <= 0 {
		return c.Conn.SetReadDeadline(t)
	}
	c.limit = limit
	return c.Conn.SetReadDeadline(time.Now().Add(idleLimit))
}

// SetDeadline implements net.Conn.
func (c *patientConn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// CloseWrite implements what net/http says that it has said all by.
func (c *patientConn) CloseWrite() error {
	closeWrite(c.Conn)
	return nil
}

// Write implements net.Conn.
func (c *patientConn) Write(b []byte) (int, error) { return writeInOurForm(c.Conn, b) }

// writeInOurForm writes what net/http writes, but an answer that it gives by itself in
// the form of our errors.
func writeInOurForm(c net.Conn, b []byte) (int, error) {
	if p := netHTTPProblem(b); p != nil {
		_, err := c.Write(p.whole())
		return len(b), err
	}
	return c.Write(b)
}

// netHTTPProblem returns the error that net/http tells by writing b, nil if it is
// something else: what it could not read as a request it answers itself, as text and
// in one piece, and no handler sees it.
func netHTTPProblem(b []byte) *problem {
	const ( // as they stand in net/http
		most = 512
		text = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
	)
	if len(b) > most || !bytes.HasPrefix(b, []byte("HTTP/1.1 4")) && !bytes.HasPrefix(b, []byte("HTTP/1.1 5")) {
		return nil
	}
	if bytes.HasPrefix(b, []byte("HTTP/1.1 417 ")) {
		p := invalid("Expect: nothing but 100-continue is known here")
		p.status = http.StatusExpectationFailed
		return p
	}
	status, _, found := strings.Cut(string(b), text)
	if !found || len(status) < len("HTTP/1.1 400 ") {
		return nil
	}
	code, reason := status[len("HTTP/1.1 "):len("HTTP/1.1 400")], status[len("HTTP/1.1 400 "):]
	switch code {
	case "431":
		return headersTooLarge()
	case "501":
		reason = "the transfer encoding is not known here"
	}
	p := invalid("not a request of HTTP/1.1: %s", reason)
	if n, err := strconv.Atoi(code); err == nil {
		p.status = n
	}
	return p
}

// whole is the error as an answer of its own, behind which the connection is closed.
func (p *problem) whole() []byte {
	h := http.Header{}
	p.wholeHeaders(h)
	h["Connection"] = closing
	var b bytes.Buffer
	_, _ = fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", p.status, http.StatusText(p.status))
	_ = h.Write(&b) // a bytes.Buffer does not fail
	_, _ = b.WriteString("\r\n")
	_, _ = b.Write(p.body())
	return b.Bytes()
}

// wholeHeaders sets the headers of an error that is an answer of its own.
func (p *problem) wholeHeaders(h http.Header) {
	h["Content-Type"], h["X-Content-Type-Options"] = jsonType, noSniff
	h["X-Request-Id"] = []string{newRequestID()}
	h["Content-Length"] = []string{strconv.Itoa(len(p.body()))}
	p.writeHeaders(h)
}
