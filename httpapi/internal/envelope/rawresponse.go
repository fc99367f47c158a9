package envelope

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
)

// RawResponse returns the error as a complete HTTP/1.1 answer, after which the connection is
// closed.
func (e *Error) RawResponse() []byte {
	h := e.RawHeaders()
	h["Connection"] = Closing
	var b bytes.Buffer
	_, _ = fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", e.Status, http.StatusText(e.Status))
	_ = h.Write(&b) // a bytes.Buffer does not fail
	_, _ = b.WriteString("\r\n")
	_, _ = b.Write(e.Body())
	return b.Bytes()
}

// RawHeaders returns the headers of the error as a complete answer.
func (e *Error) RawHeaders() http.Header {
	h := http.Header{"Content-Type": JSONType, "X-Content-Type-Options": NoSniff, "X-Request-Id": {NewRequestID()}}
	h["Content-Length"] = []string{strconv.Itoa(len(e.Body()))}
	e.WriteHeaders(h)
	return h
}
