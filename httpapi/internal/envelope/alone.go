package envelope

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
)

// Alone is the error as a whole answer of HTTP/1.1, behind which the connection is
// closed.
func (e *Error) Alone() []byte {
	h := e.HeadersAlone()
	h["Connection"] = Closing
	var b bytes.Buffer
	_, _ = fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", e.Status, http.StatusText(e.Status))
	_ = h.Write(&b) // a bytes.Buffer does not fail
	_, _ = b.WriteString("\r\n")
	_, _ = b.Write(e.Body())
	return b.Bytes()
}

// HeadersAlone returns the headers of an error that is a whole answer.
func (e *Error) HeadersAlone() http.Header {
	h := http.Header{"Content-Type": JSONType, "X-Content-Type-Options": NoSniff, "X-Request-Id": {NewRequestID()}}
	h["Content-Length"] = []string{strconv.Itoa(len(e.Body()))}
	e.WriteHeaders(h)
	return h
}
