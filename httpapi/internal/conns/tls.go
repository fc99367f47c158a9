package conns

import (
	"bytes"
	"crypto/tls"
	"errors"
	"log/slog"
	"sync/atomic"

	"statuscache/httpapi/internal/envelope"
)

// encryption is TLS on the connections of a listener. net/http receives the decrypted
// connection as if it had no TLS. With a *tls.Conn, net/http would write its own answers
// below the code that gives them the form of our errors, and would read HTTP/2 frames
// below the code that counts them.
type encryption struct {
	config *tls.Config
	guard  *floodGuard
	log    *slog.Logger
}

// handshake does the TLS handshake of a connection.
func (e *encryption) handshake(c *tls.Conn) error {
	err := c.Handshake()
	if err == nil {
		return nil
	}
	e.log.Debug("TLS handshake failed", "address", c.RemoteAddr().String(), "error", err)
	var record tls.RecordHeaderError
	if errors.As(err, &record) && record.Conn != nil && isMethod(record.RecordHeader[:3]) {
		_, _ = record.Conn.Write(envelope.Invalid("this port accepts HTTPS only").RawResponse())
	}
	return err
}

// isMethod reports whether b can be the beginning of a request of HTTP/1.1.
func isMethod(b []byte) bool {
	return !bytes.ContainsFunc(b, func(r rune) bool { return r < 'A' || r > 'Z' })
}

// http2Preface is the first text of an HTTP/2 client. net/http checks its first line, and
// then the rest.
const (
	http2Preface     = http2PrefaceLine + "\r\n\r\nSM\r\n\r\n"
	http2PrefaceLine = "PRI * HTTP/2.0"
)

// tlsConn is the decrypted connection within TLS: HTTP/1.1, or HTTP/2 if it begins with
// the preface. It must not have a method ConnectionState, because net/http would then
// assume that it is never HTTP/2.
type tlsConn struct {
	*unreadConn // of TLS
	guard       *floodGuard

	first  []byte                 // as far as it is the beginning of the preface; only for the reader
	plain  bool                   // it is not HTTP/2; only for the reader
	frames atomic.Pointer[frames] // nil: it is not HTTP/2, or nothing was said yet
}

// Read implements net.Conn.
func (c *tlsConn) Read(b []byte) (int, error) {
	if f := c.frames.Load(); f != nil {
		return f.read(b)
	}
	if c.plain && c.looksForPreface(len(b)) {
		return 0, nil
	}
	n, err := c.unreadConn.Read(b)
	if !c.plain {
		c.expectPreface(b[:n])
	} else if n > 0 {
		c.first = nil
	}
	return n, err
}

// expectPreface finds the protocol from the first bytes.
func (c *tlsConn) expectPreface(b []byte) {
	c.first = append(c.first, b[:min(len(b), len(http2Preface)-len(c.first))]...)
	switch {
	case string(c.first) == http2Preface: // net/http reads no further with it
		c.first = nil
		c.frames.Store(newFrames(c.unreadConn, c.guard))
	case !bytes.HasPrefix([]byte(http2Preface), c.first):
		c.plain = true
	}
}

// looksForPreface reports whether net/http tries to read the rest of a preface that will
// not arrive: it would wait for bytes that a short request does not have.
func (c *tlsConn) looksForPreface(wanted int) bool {
	upTo := len(c.first) + wanted
	return len(c.first) > 0 && (upTo == len(http2PrefaceLine) || upTo == len(http2Preface))
}

// Write implements net.Conn.
func (c *tlsConn) Write(b []byte) (int, error) {
	if f := c.frames.Load(); f != nil {
		return f.write(b)
	}
	return writeInOurForm(c.unreadConn, b)
}
