package wire

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"statuscache/httpapi/internal/envelope"
)

// Response is the http.ResponseWriter of a request. The first write is the whole body,
// unless the header has its length or says that it is a stream.
type Response struct {
	conn    *conn
	header  http.Header
	method  string
	status  int   // 0: nothing written yet
	sent    bool  // the head is
	length  int64 // length of the body; -1: the body ends with the connection
	counted bool  // the header does not have the length
	written int64
	closing bool // the connection cannot be used for another request
	broken  bool // nothing more can be sent
	timed   bool // the connection has a read deadline
	body    *body
	hot     *hot    // the poll that it belongs to; nil: no poll
	held    *[]byte // a whole answer that is to be sent; nil: none

	waiting Waiting // nil: the request does not wait
	turn    atomic.Uint32
	gone    atomic.Bool // the client, while the request waited
}

const (
	// copyLimit is the size of a body up to which a copy is cheaper than a separate write,
	// in bytes.
	copyLimit = 16 << 10
	headSpace = 1 << 10 // enough for the head of nearly every answer, in bytes
	maxUnread = 256 << 10
	readLimit = 5 * time.Second // for what is left of a body
)

// answers are buffers for answers that are being sent.
var answers = sync.Pool{New: func() any { b := make([]byte, 0, headSpace+copyLimit); return &b }}

// Header implements http.ResponseWriter.
func (w *Response) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *Response) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

// Write implements http.ResponseWriter.
func (w *Response) Write(b []byte) (int, error) {
	if w.WriteHeader(http.StatusOK); !w.sent {
		return w.send(b)
	}
	if w.length >= 0 && w.written+int64(len(b)) > w.length {
		return 0, http.ErrContentLength
	}
	n, err := w.conn.Write(b)
	return n, w.wrote(n, err)
}

func (w *Response) wrote(n int, err error) error {
	w.written += int64(n)
	w.broken = w.broken || err != nil
	return err
}

// FlushError implements the flush of http.ResponseController. Only complete answers are
// held back, so there is nothing to flush.
func (w *Response) FlushError() error { return nil }

// SetReadDeadline implements the method for http.ResponseController. The deadline ends
// with the request.
func (w *Response) SetReadDeadline(t time.Time) error {
	w.timed = !t.IsZero()
	return w.conn.SetReadDeadline(t)
}

// send sends the head, and the first of the body. A complete answer that fits into a
// buffer is sent when its handler returns: when the client receives it, the handler has
// also written the log line and the metrics.
func (w *Response) send(b []byte) (int, error) {
	if err := w.decide(len(b)); err != nil {
		return 0, err
	}
	p := answers.Get().(*[]byte)
	all := w.appendHead((*p)[:0])
	if all == nil {
		answers.Put(p)
		w.broken = true
		return 0, errBrokenHead
	}
	head := len(all)
	together := len(b) <= cap(all)-head
	if together {
		all = append(all, b...)
	}
	if *p = all; together && w.length == int64(len(b)) {
		w.held = p
		return len(b), w.wrote(len(b), nil)
	}
	defer answers.Put(p)
	n, err := w.conn.Write(all)
	if n = max(n-head, 0); err == nil && !together {
		n, err = w.conn.Write(b)
	}
	return n, w.wrote(n, err)
}

// release sends the held-back answer unless its handler failed afterwards.
func (w *Response) release() {
	if w.held == nil {
		return
	}
	if !w.broken {
		if rest := (*w.held)[w.conn.writeNow(*w.held):]; len(rest) > 0 {
			_, err := w.conn.Write(rest)
			w.broken = err != nil
		}
	}
	answers.Put(w.held)
	w.held = nil
}

// decide determines what the head says about the body, whose first bytes are b, and about
// the connection.
func (w *Response) decide(b int) error {
	w.sent = true
	given := w.header["Content-Length"]
	switch {
	case w.bodiless() || w.method == http.MethodHead:
		w.length = 0
	case w.streams():
		w.length, w.closing = -1, true
	case given != nil:
		n, err := strconv.ParseInt(given[0], 10, 64)
		if err != nil || n < int64(b) {
			w.broken = true
			return http.ErrContentLength
		}
		w.length = n
	default:
		w.length, w.counted = int64(b), true
	}
	if b > 0 && w.length == 0 {
		w.broken = true
		return http.ErrBodyNotAllowed
	}
	o := w.conn.server
	closes := w.header["Connection"]
	w.closing = w.closing || len(closes) > 0 && closes[0] == envelope.Closing[0] || o.stopping.Load() || o.options.Draining.Load() ||
		w.body != nil && (w.body.err != nil || w.body.left > maxUnread)
	return nil
}

// bodiless reports whether answers with the status have no body.
func (w *Response) bodiless() bool {
	return w.status == http.StatusNoContent || w.status == http.StatusNotModified
}

// streams reports whether the body ends with the connection.
func (w *Response) streams() bool {
	kind := w.header["Content-Type"]
	return len(kind) == 1 && kind[0] == envelope.EventStreamType[0]
}

var errBrokenHead = errors.New("the head of an answer has a line break in a value")

// appendHead appends the head of the answer, or returns nil if a value would break it.
func (w *Response) appendHead(b []byte) []byte {
	b = append(append(append(b, "HTTP/1.1 "...), statusLine(w.status)...), "\r\nDate: "...)
	b = append(append(b, *w.conn.server.date.Load()...), "\r\n"...)
	lines := 3
	for name, values := range w.header {
		if name == "Connection" || w.bodiless() && (name == "Content-Length" || name == "Content-Type") {
			continue
		}
		for _, v := range values {
			b = append(append(append(append(b, name...), ": "...), v...), "\r\n"...)
			lines++
		}
	}
	if w.counted {
		b = append(strconv.AppendInt(append(b, "Content-Length: "...), w.length, 10), "\r\n"...)
		lines++
	}
	if w.closing {
		b = append(b, "Connection: close\r\n"...)
		lines++
	}
	b = append(b, "\r\n"...)
	if bytes.Count(b, []byte{'\n'}) != lines || bytes.Count(b, []byte{'\r'}) != lines {
		return nil
	}
	return b
}

// statusLine returns the status in the form of the first line.
func statusLine(status int) string {
	if status == http.StatusOK {
		return "200 OK"
	}
	return strconv.Itoa(status) + " " + http.StatusText(status)
}

// finish sends the rest of the answer and reads the rest of the request. It reports
// whether the connection can be used for another request.
func (w *Response) finish() bool {
	if w.WriteHeader(http.StatusOK); !w.sent && !w.broken && !w.gone.Load() {
		_, _ = w.send(nil) // an error breaks it
	}
	if w.release(); w.gone.Load() {
		return false
	}
	if w.broken || w.closing || w.written != w.length || !w.readRest() {
		return false
	}
	if w.hot != nil {
		w.hot.forget()
	}
	return true
}

// readRest reads the rest of the body, and reports whether the next request follows it.
func (w *Response) readRest() bool {
	if w.body != nil && w.body.left > 0 {
		if w.timed = true; w.conn.SetReadDeadline(time.Now().Add(readLimit)) != nil {
			return false
		}
		if _, err := io.Copy(io.Discard, w.body); err != nil {
			return false
		}
	}
	return !w.timed || w.conn.SetReadDeadline(time.Time{}) == nil
}
