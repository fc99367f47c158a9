package envelope

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
)

// Alone returns the error as a whole HTTP/1.1 answer, after which the connection is
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

// HeadersAlone returns the headers of the error as a whole answer.
func (e *Error) HeadersAlone() http.Header {
	h := http.Header{"Content-Type": JSONType, "X-Content-Type-Options": NoSniff, "X-Request-Id": {NewRequestID()}}
	h["Content-Length"] = []string{strconv.Itoa(len(e.Body()))}
	e.WriteHeaders(h)
	return h
}
