package conns

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"statuscache/httpapi/internal/envelope"
)

// A connection of net/http that waits costs some 25 kB: two buffers, and a stack
// that has grown while the request was read. With tens of thousands that wait,
// this is what a process is made of. So a request that begins to wait over
// HTTP/1.1 is parked: its connection is taken out of net/http, and is given back
// when the next request comes. What is left meanwhile is the connection, the
// request and two small stacks. Over HTTP/2, where many requests share one
// connection, they wait where they are.

const (
	idleLimit = 75 * time.Second // for a connection without a request
	lastRead  = time.Second      // for the client to take the end of an answer, before the connection is closed

	maxReadAhead   = 8 << 10 // bytes that are read behind a request that waits
	readAheadPiece = 512
)

// Why the wait of a parked request ends before its time.
var (
	ErrClientGone = errors.New("the client has gone")
	errReadAhead  = errors.New("the client sent too much behind a request that waits")
)

// Parked is a connection taken out of net/http, and the http.ResponseWriter of
// the request that waits on it.
type Parked struct {
	all    *parkedConns
	conn   net.Conn
	end    context.CancelCauseFunc // of the request
	header http.Header
	status int  // 0: nothing written yet
	sent   bool // the head is
	close  bool // the connection is of no use for another request

	answered chan struct{}

	mu    sync.Mutex
	next  []byte // what has been read of the next request
	ended bool   // the answer is sent, and listen is to stop
}

// Park takes the connection of a request out of net/http, or returns nil where
// that cannot be done.
func Park(w http.ResponseWriter, r *http.Request, end context.CancelCauseFunc) *Parked {
	all, _ := r.Context().Value(parkedConnsKey{}).(*parkedConns)
	if all == nil || r.ProtoMajor != 1 || r.ProtoMinor == 0 || r.ContentLength != 0 && r.Body != http.NoBody {
		return nil
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil
	}
	p := &Parked{all: all, end: end, header: w.Header(), close: r.Close, answered: make(chan struct{})}
	next, _ := buffered.Peek(buffered.Reader.Buffered()) // what is there can be had
	p.next = bytes.Clone(next)
	if back, ok := conn.(*returnedConn); ok && len(back.first) == 0 {
		conn = back.Conn // else it would be wrapped once more each time
	}
	p.conn = conn
	all.add(p)
	all.requests.Add(1)
	go p.listen()
	return p
}

// listen notices that the client hangs up or sends the next request, while this
// one is being answered and after that.
func (p *Parked) listen() {
	defer p.all.remove(p)
	gone := p.readAhead()
	<-p.answered
	_ = p.conn.SetReadDeadline(time.Time{}) // of Finish
	if gone || p.close || !p.all.returnConn(&returnedConn{p.conn, p.next}) {
		_ = p.conn.Close()
	}
}

// readAhead reads until the answer is sent and a next request has begun. It reports
// whether the client has hung up. That may come behind a next request or a part of
// one, so a client that has sent something is read from too.
func (p *Parked) readAhead() (gone bool) {
	piece := make([]byte, 1) // most send nothing, and there are many
	for !p.enough(nil) {
		if len(p.next) >= maxReadAhead {
			p.end(errReadAhead) // it is answered now, since its end could not be noticed
			return false
		}
		if len(p.next) > 0 && len(piece) == 1 {
			piece = make([]byte, readAheadPiece)
		}
		n, err := p.conn.Read(piece)
		if enough := p.enough(piece[:n]); err != nil && !enough {
			p.end(ErrClientGone)
			return true
		}
	}
	return false
}

// enough takes what has been read of the next request, and reports whether that
// has begun and can be given back.
func (p *Parked) enough(read []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended && p.close {
		return false // no request will be answered on it
	}
	p.next = append(p.next, read...)
	return p.ended && len(p.next) > 0
}

// Finish sends what is left of the answer, and lets the connection have the next
// request.
func (p *Parked) Finish() {
	_ = p.sendHead(nil) // an error means that the client has gone; the close ends its connection
	limit := idleLimit
	if p.close {
		closeWrite(p.conn)
		limit = lastRead
	}
	p.mu.Lock()
	p.ended = true
	if len(p.next) > 0 && !p.close {
		limit = 0 // it need not be waited for
	}
	_ = p.conn.SetReadDeadline(time.Now().Add(limit)) // only a closed one refuses, and needs none
	p.mu.Unlock()
	close(p.answered)
	p.all.requests.Done()
}

// Header implements http.ResponseWriter.
func (p *Parked) Header() http.Header { return p.header }

// WriteHeader implements http.ResponseWriter.
func (p *Parked) WriteHeader(status int) {
	if p.status == 0 {
		p.status = status
	}
}

// Write implements http.ResponseWriter. What is written first is the whole body,
// unless the header has its length or says that it is a stream.
func (p *Parked) Write(b []byte) (int, error) {
	p.WriteHeader(http.StatusOK)
	if !p.sent {
		if p.header["Content-Length"] == nil && !p.streams() {
			p.header["Content-Length"] = []string{strconv.Itoa(len(b))}
		}
		if len(b) <= envelope.CopyLimit {
			return len(b), p.sendHead(b)
		}
		if err := p.sendHead(nil); err != nil {
			return 0, err
		}
	}
	return p.conn.Write(b)
}

// streams reports whether the body ends with the connection.
func (p *Parked) streams() bool {
	kind := p.header["Content-Type"]
	return len(kind) == 1 && kind[0] == envelope.EventStreamType[0]
}

// sendHead sends the head of the answer, if that was not done, and what follows.
func (p *Parked) sendHead(body []byte) error {
	if p.sent || p.status == 0 {
		return nil
	}
	p.sent = true
	if p.close || p.streams() || p.all.draining.Load() {
		p.close = true
		p.header["Connection"] = envelope.Closing
	}
	var b bytes.Buffer
	b.Grow(1024 + len(body))
	_, _ = b.WriteString("HTTP/1.1 " + strconv.Itoa(p.status) + " " + http.StatusText(p.status) + "\r\n")
	_, _ = b.WriteString("Date: " + time.Now().UTC().Format(http.TimeFormat) + "\r\n")
	_ = p.header.Write(&b) // a bytes.Buffer does not fail
	_, _ = b.WriteString("\r\n")
	_, _ = b.Write(body)
	_, err := p.conn.Write(b.Bytes())
	return err
}

// FlushError implements what http.ResponseController flushes by. Nothing is held
// back.
func (p *Parked) FlushError() error { return nil }
