package httpapi

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"statuscache/httpapi/internal/conns"
	"statuscache/httpapi/internal/envelope"
)

// largeAnswer is the size from which the bytes of an answer count against the limit while
// it is sent.
const largeAnswer = 64 << 10

// send writes a whole answer. The body may be shared: it is only read.
func (x *exchange) send(status int, contentType []string, body []byte) {
	if len(body) >= largeAnswer {
		x.sendParts(status, contentType, int64(len(body)), body)
		return
	}
	if x.begin(status, contentType, len(body)) && x.write(body) {
		x.flush()
	}
}

// sendParts is send for a body in parts, which may be shared and repeated. held is how
// many bytes of memory they use.
func (x *exchange) sendParts(status int, contentType []string, held int64, parts ...[]byte) {
	if !x.server.answers.Take(x.holder, held) {
		for _, name := range []string{"Etag", "Content-Length", "Content-Encoding", "Retry-After"} {
			delete(x.w.Header(), name) // they belonged to the other answer
		}
		x.fail(envelope.Unavailable("too many large answers at the same time", nil))
		return
	}
	defer x.server.answers.Give(x.holder, held)
	length := 0
	for _, part := range parts {
		length += len(part)
	}
	x.w.Header()["Content-Length"] = []string{strconv.Itoa(length)}
	if !x.begin(status, contentType, length) {
		return
	}
	for _, part := range parts {
		if !x.write(part) {
			return
		}
	}
	x.flush()
}

// sendHead writes an answer that has no body.
func (x *exchange) sendHead(status int) {
	x.status = status
	x.w.WriteHeader(status)
}

// begin writes the head of an answer, and reports whether a body follows.
func (x *exchange) begin(status int, contentType []string, length int) bool {
	h := x.w.Header()
	h["Content-Type"] = contentType
	head := x.r.Method == http.MethodHead
	if (head || x.shared()) && h["Content-Length"] == nil {
		h["Content-Length"] = []string{strconv.Itoa(length)}
	}
	x.sendHead(status)
	return !head && length > 0
}

// shared reports whether the same connection carries other requests.
func (x *exchange) shared() bool { return x.r.ProtoMajor >= 2 }

// write writes a part of the body and reports whether that was possible.
func (x *exchange) write(b []byte) bool { return x.wrote(x.put(b)) }

// put writes to the connection. If several answers share the connection, its deadline
// does not show that the client receives this answer, so each piece has a deadline.
func (x *exchange) put(b []byte) (written int, err error) {
	if !x.shared() {
		return x.w.Write(b)
	}
	for err == nil && written < len(b) {
		x.expectTaken()
		var n int
		n, err = x.w.Write(b[written:min(len(b), written+conns.WritePiece)])
		written += n
	}
	return written, err
}

// flush sends what net/http has buffered of the body, and returns when the client has
// received it. Until then the request is in progress and takes its places.
func (x *exchange) flush() {
	if x.shared() {
		x.wrote(0, http.NewResponseController(x.w).Flush())
	}
}

func (x *exchange) expectTaken() {
	_ = http.NewResponseController(x.w).SetWriteDeadline(time.Now().Add(x.server.limits.Taken)) // fails only for the writers of tests
}

func (x *exchange) wrote(n int, err error) bool {
	x.bytes += n
	if err == nil || errors.Is(err, http.ErrNotSupported) {
		return true
	}
	x.failed = errors.Join(x.failed, err)
	return false
}

// sendMany answers with the states of many executions.
func (x *exchange) sendMany(answer *envelope.Parts) {
	parts, held := answer.All()
	x.sendParts(http.StatusOK, envelope.JSONType, held, parts...)
}
