package conns

import (
	"bytes"
	"net"
	"net/http"
	"strconv"
	"strings"

	"statuscache/httpapi/internal/envelope"
)

// writeInOurForm writes the bytes of net/http. It replaces an answer that net/http
// generates itself with an error in our form.
func writeInOurForm(c net.Conn, b []byte) (int, error) {
	if p := netHTTPError(b); p != nil {
		_, err := c.Write(p.RawResponse())
		return len(b), err
	}
	return c.Write(b)
}

// netHTTPError returns the error that net/http reports by writing b, nil if b is
// something else. If net/http cannot read a request, it writes the answer itself, as text
// and in one piece, without calling a handler.
func netHTTPError(b []byte) *envelope.Error {
	const ( // copied from net/http
		most = 512
		text = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
	)
	if len(b) > most || !bytes.HasPrefix(b, []byte("HTTP/1.1 4")) && !bytes.HasPrefix(b, []byte("HTTP/1.1 5")) {
		return nil
	}
	if bytes.HasPrefix(b, []byte("HTTP/1.1 417 ")) {
		p := envelope.Invalid("Expect: only 100-continue is supported")
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
		reason = "the transfer encoding is not supported"
	}
	p := envelope.Invalid("not an HTTP/1.1 request: %s", reason)
	if n, err := strconv.Atoi(code); err == nil {
		p.Status = n
	}
	return p
}
