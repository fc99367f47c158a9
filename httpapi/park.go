package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
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

// parked is a connection taken out of net/http, and the http.ResponseWriter of
// the request that waits on it.
type parked struct {
	lot    *parkingLot
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

// park takes the connection of a request out of net/http, or returns nil where
// that cannot be done.
func park(w http.ResponseWriter, r *http.Request, end context.CancelCauseFunc) *parked {
	lot, _ := r.Context().Value(parkingKey{}).(*parkingLot)
	if lot == nil || r.ProtoMajor != 1 || r.ProtoMinor == 0 || r.ContentLength != 0 && r.Body != http.NoBody {
		return nil
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil
	}
	p := &parked{lot: lot, end: end, header: w.Header(), close: r.Close, answered: make(chan struct{})}
	next, _ := buffered.Peek(buffered.Reader.Buffered()) // what is there can be had
	p.next = bytes.Clone(next)
	if back, ok := conn.(*givenBack); ok && len(back.first) == 0 {
		conn = back.Conn // else it would be wrapped once more each time
	}
	p.conn = conn
	lot.add(p)
	lot.requests.Add(1)
	go p.listen()
	return p
}

// listen notices that the client hangs up or sends the next request, while this
// one is being answered and after that.
func (p *parked) listen() {
	defer p.lot.remove(p)
	gone := p.readAhead()
	<-p.answered
	_ = p.conn.SetReadDeadline(time.Time{}) // of finish
	if gone || p.close || !p.lot.giveBack(&givenBack{p.conn, p.next}) {
		_ = p.conn.Close()
	}
}

// readAhead reads until the answer is sent and a next request has begun. It reports
// whether the client has hung up. That may come behind a next request or a part of
// one, so who has sent something is read from too.
func (p *parked) readAhead() (gone bool) {
	room := make([]byte, 1) // most send nothing, and there are many
	for !p.enough(nil) {
		if len(p.next) >= maxReadAhead {
			p.end(errOver) // it is answered now, since its end could not be noticed
			return false
		}
		if len(p.next) > 0 && len(room) == 1 {
			room = make([]byte, readAheadPiece)
		}
		n, err := p.conn.Read(room)
		if enough := p.enough(room[:n]); err != nil && !enough {
			p.end(errGone)
			return true
		}
	}
	return false
}

// enough takes what has been read of the next request, and reports whether that
// has begun and can be given back.
func (p *parked) enough(read []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended && p.close {
		return false // nobody answers it
	}
	p.next = append(p.next, read...)
	return p.ended && len(p.next) > 0
}

// finish sends what is left of the answer, and lets the connection have the next
// request.
func (p *parked) finish() {
	_ = p.sendHead(nil) // the client has gone, or hears of it by the close
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
	p.lot.requests.Done()
}

// Header implements http.ResponseWriter.
func (p *parked) Header() http.Header { return p.header }

// WriteHeader implements http.ResponseWriter.
func (p *parked) WriteHeader(status int) {
	if p.status == 0 {
		p.status = status
	}
}

// Write implements http.ResponseWriter. What is written first is the whole body,
// unless the header has its length or says that it is a stream.
func (p *parked) Write(b []byte) (int, error) {
	p.WriteHeader(http.StatusOK)
	if !p.sent {
		if p.header["Content-Length"] == nil && !p.streams() {
			p.header["Content-Length"] = []string{strconv.Itoa(len(b))}
		}
		if len(b) <= copied {
			return len(b), p.sendHead(b)
		}
		if err := p.sendHead(nil); err != nil {
			return 0, err
		}
	}
	return p.conn.Write(b)
}

// streams reports whether the body ends with the connection.
func (p *parked) streams() bool {
	kind := p.header["Content-Type"]
	return len(kind) == 1 && kind[0] == streamType[0]
}

// sendHead sends the head of the answer, if that was not done, and what follows.
func (p *parked) sendHead(body []byte) error {
	if p.sent || p.status == 0 {
		return nil
	}
	p.sent = true
	if p.close || p.streams() || p.lot.draining.Load() {
		p.close = true
		p.header["Connection"] = closing
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
func (p *parked) FlushError() error { return nil }

// parkingLot is the parked connections of one listener. To net/http it is a
// listener too: of the connections that are given back.
type parkingLot struct {
	addr     net.Addr
	draining *atomic.Bool // of the server: connections are closed behind their answers
	back     chan net.Conn
	closed   chan struct{}

	requests sync.WaitGroup // that are not answered yet

	mu  sync.Mutex
	all map[*parked]struct{}
}

// parkingKey is where the context of a request has the lot of its listener.
type parkingKey struct{}

func newParkingLot(addr net.Addr, draining *atomic.Bool) *parkingLot {
	return &parkingLot{addr: addr, draining: draining, back: make(chan net.Conn), closed: make(chan struct{}), all: map[*parked]struct{}{}}
}

func (l *parkingLot) add(p *parked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all[p] = struct{}{}
}

func (l *parkingLot) remove(p *parked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.all, p)
}

// giveBack hands a connection to net/http, unless that takes no more.
func (l *parkingLot) giveBack(c net.Conn) bool {
	select {
	case l.back <- c:
		return true
	case <-l.closed:
		return false
	}
}

// Accept implements net.Listener.
func (l *parkingLot) Accept() (net.Conn, error) {
	select {
	case c := <-l.back:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Addr implements net.Listener.
func (l *parkingLot) Addr() net.Addr { return l.addr }

// Close implements net.Listener: nothing is given back any more, and connections
// without a request are closed.
func (l *parkingLot) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.closed:
		return nil
	default:
	}
	close(l.closed)
	for p := range l.all {
		select {
		case <-p.answered:
			_ = p.conn.Close()
		default: // listen closes it
		}
	}
	return nil
}

// drain returns when every request that waited has been answered. Nothing must be
// parked any more.
func (l *parkingLot) drain(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		l.requests.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting requests cut off at shutdown: %w", ctx.Err())
	}
}

// givenBack is a connection whose next request has begun to arrive.
type givenBack struct {
	net.Conn
	first []byte
}

// Read implements net.Conn.
func (c *givenBack) Read(b []byte) (int, error) {
	if len(c.first) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.first)
	c.first = c.first[n:]
	return n, nil
}

// CloseWrite implements what net/http says that it has said all by.
func (c *givenBack) CloseWrite() error {
	closeWrite(c.Conn)
	return nil
}

// closeWrite tells the client that nothing more comes, where that is possible
// without cutting off what is on its way.
func closeWrite(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}
