package conns

import (
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"statuscache/httpapi/internal/envelope"
)

// The budget of HTTP/2 frames. net/http handles any number of frames that request
// nothing: empty CONTINUATION, SETTINGS, PING, PRIORITY, RST_STREAM. A connection that
// sends them as fast as it can uses most of a core. So each frame of the client costs one
// unit of a budget. Answers add to the budget, because a client may update windows for
// them, and may send pings to measure. The budget has a maximum.
const (
	frameSavings   = 4000 // at most, and at the beginning
	framesASecond  = 200  // earned by time
	answerEarns    = 8
	dataEarns      = 2
	dataBytesEarn  = 512 // so many bytes of data earn one unit more
	smallDataFrame = 256 // bytes; larger frames cost nothing, because their data is bounded elsewhere
)

// maxHeaderBlock is the maximum size of the compressed headers of a request. Above it, this
// package answers, and not net/http, whose answer would be plain text. Huffman coding saves
// at most 3/8, so headers below this limit unpack to less than http2HeaderBytes, which
// net/http accepts. Only references to earlier fields can expand more, and no client needs
// so many.
const (
	maxHeaderBlock   = netHTTPHeaderBytes
	http2HeaderBytes = 2 * netHTTPHeaderBytes
)

// How long and how much a refused client may still send, so that it reads the answer. If
// the connection were closed at once, the client might not receive it.
const (
	refusedLimit = time.Second
	refusedBytes = 8 << 20
)

// floodGuard counts and logs connections that are closed because they sent too many frames.
type floodGuard struct {
	log   *slog.Logger
	count prometheus.Counter
}

func newFloodGuard(log *slog.Logger, r prometheus.Registerer) *floodGuard {
	g := &floodGuard{log: log, count: prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: "statuscache", Name: "http2_floods_total", Help: "Connections over HTTP/2 that were closed because they sent too many frames without a request.",
	})}
	r.MustRegister(g.count)
	return g
}

// frames is an HTTP/2 connection after its preface.
type frames struct {
	conn  net.Conn
	guard *floodGuard
	in    frameScanner // only for the reader
	block int          // bytes of headers that arrive; only for the reader
	left  atomic.Int64 // what the client may still send
	since time.Time    // when left was topped up last; only for the reader

	begun chan struct{} // closed when net/http has written something: the first frame must be its SETTINGS
	begin func()

	mu  sync.Mutex // held while something is written
	out frameScanner
}

func newFrames(conn net.Conn, guard *floodGuard) *frames {
	f := &frames{conn: conn, guard: guard, since: time.Now(), begun: make(chan struct{})}
	f.begin = sync.OnceFunc(func() { close(f.begun) })
	f.left.Store(frameSavings)
	return f
}

// read is the Read of the connection.
func (f *frames) read(b []byte) (int, error) {
	n, err := f.conn.Read(b)
	enough, large := true, uint32(0)
	f.in.scan(b[:n], func(h frameHeader) {
		if h.kind != dataFrame || h.length < smallDataFrame && h.flags&endStream == 0 {
			enough = f.spend() && enough
		}
		if f.blockOf(h) > maxHeaderBlock && large == 0 {
			large = h.stream
		}
	})
	switch {
	case large != 0:
		f.refuse(large, envelope.HeadersTooLarge(MaxHeaderBytes))
	case !enough:
		f.cut()
	default:
		return n, err
	}
	return 0, io.EOF
}

// blockOf returns the compressed size so far of the headers that a frame belongs to.
func (f *frames) blockOf(h frameHeader) int {
	switch h.kind {
	case headersFrame:
		f.block = h.length
	case continuationFrame:
		f.block += h.length
	default:
		f.block = 0
	}
	return f.block
}

// spend takes one unit of the budget, and reports whether there was one.
func (f *frames) spend() bool {
	if f.left.Add(-1) >= 0 {
		return true
	}
	now := time.Now()
	earned := int64(now.Sub(f.since).Seconds() * framesASecond)
	f.since = now
	f.left.Store(min(earned, frameSavings))
	return earned > 0
}

// write is the Write of the connection.
func (f *frames) write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.begin()
	earned := int64(0)
	f.out.scan(b, func(h frameHeader) {
		switch h.kind {
		case headersFrame:
			earned += answerEarns
		case dataFrame:
			earned += dataEarns + int64(h.length/dataBytesEarn)
		}
	})
	if earned > 0 && f.left.Load() < frameSavings {
		f.left.Add(earned)
	}
	return f.conn.Write(b)
}

// cut sends the reason before it closes the connection, but only if that is possible at
// once, because a flooding client may not read.
func (f *frames) cut() {
	f.guard.count.Inc()
	f.guard.log.Debug("connection closed: too many HTTP/2 frames without a request", "address", f.conn.RemoteAddr().String())
	select {
	case <-f.begun:
	default:
		return
	}
	if !f.mu.TryLock() {
		return
	}
	defer f.mu.Unlock()
	if f.out.between() {
		_, _ = f.conn.Write(goAway(enhanceYourCalm))
	}
}

// refuse answers a request whose headers are not read completely. After that the
// connection cannot be used, because later headers could refer to the unread ones.
func (f *frames) refuse(stream uint32, p *envelope.Error) {
	<-f.begun // net/http does that in any case
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.out.between() {
		return
	}
	answer := appendFrame(nil, headersFrame, endHeaders, stream, headerBlock(p))
	answer = appendFrame(answer, dataFrame, endStream, stream, p.Body())
	if _, err := f.conn.Write(append(answer, goAway(noError)...)); err != nil {
		return
	}
	_ = f.conn.SetReadDeadline(time.Now().Add(refusedLimit))
	_, _ = io.CopyN(io.Discard, f.conn, refusedBytes) // to its end, or until the time limit
}
