package conns

import (
	"bytes"
	"net"
	"net/http"
	"strconv"
	"strings"

	"statuscache/httpapi/internal/envelope"
)

// writeInOurForm writes what net/http writes, but an answer that it gives by itself in
// the form of our errors.
func writeInOurForm(c net.Conn, b []byte) (int, error) {
	if p := netHTTPError(b); p != nil {
		_, err := c.Write(p.Alone())
		return len(b), err
	}
	return c.Write(b)
}

// netHTTPError returns the error that net/http reports by writing b, nil if it is
// something else: what it could not read as a request it answers itself, as text and
// in one piece, and no handler sees it.
func netHTTPError(b []byte) *envelope.Error {
	const ( // as they stand in net/http
		most = 512
		text = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
	)
	if len(b) > most || !bytes.HasPrefix(b, []byte("HTTP/1.1 4")) && !bytes.HasPrefix(b, []byte("HTTP/1.1 5")) {
		return nil
	}
	if bytes.HasPrefix(b, []byte("HTTP/1.1 417 ")) {
		p := envelope.Invalid("Expect: nothing but 100-continue is known here")
		p.Status = http.StatusExpectationFailed
		return p
	}
	status, _, found := strings.Cut(string(b), text)
	if !found || len(status) < len("HTTP/1.1 400 ") {
		return nil
	}
	code, reason := status[len("HTTP/1.1 "):len("HTTP/1.1 400")], status[len("HTTP/1.1 400 "):]
	switch code {
	case "431":
		return envelope.HeadersTooLarge(MaxHeaderBytes)
	case "501":
		reason = "the transfer encoding is not known here"
	}
	p := envelope.Invalid("not a request of HTTP/1.1: %s", reason)
	if n, err := strconv.Atoi(code); err == nil {
		p.Status = n
	}
	return p
}
