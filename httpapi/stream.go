package httpapi

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net/http"
	"time"

	"statuscache/cache"
	"statuscache/cache/changes"
	"statuscache/httpapi/internal/envelope"
	"statuscache/httpapi/internal/headers"
)

// How long streams last, and how often they send a heartbeat.
const (
	streamLife     = 15 * time.Minute // at most; at least four fifths of it, so that not all clients reconnect at the same time
	heartbeatEvery = 9 * time.Second  // common read timeouts are 10 s and more
	streamPause    = time.Second      // before Redis is read again after an error
)

// events is the stream of one request.
type events struct {
	x       *exchange
	control *http.ResponseController
	ctx     context.Context // of the life of the stream
	sent    time.Time       // when something was sent last
	parts   [][]byte        // to be sent before buffer; those of records are shared
	buffer  []byte
}

// streamEnd returns when a new stream must end.
func streamEnd() time.Time { return time.Now().Add(streamLife - rand.N(streamLife/5)) }

// openStream begins a stream. close must be called at its end.
func (x *exchange) openStream() (*events, error) {
	x.server.metrics.streams.Inc()
	h := x.w.Header()
	h["Content-Type"] = envelope.EventStreamType
	h["Cache-Control"] = envelope.StreamCache
	h["X-Accel-Buffering"] = []string{"no"} // otherwise nginx would buffer events
	x.sendHead(http.StatusOK)
	e := &events{x: x, control: http.NewResponseController(x.w), ctx: x.r.Context()}
	e.buffer = envelope.AppendRetry(e.buffer)
	return e, e.flush()
}

func (e *events) close() { e.x.server.metrics.streams.Dec() }

// event adds an event to what flush sends. Large data is not copied, because many clients
// may follow the same execution and read slowly.
func (e *events) event(name, id string, data []byte) {
	if len(data) <= envelope.CopyLimit || bytes.ContainsAny(data, envelope.LineBreaks) {
		e.buffer = envelope.AppendEvent(e.buffer, name, id, data)
		return
	}
	e.parts = append(e.parts, envelope.AppendEventHead(e.buffer, name, id), data)
	e.buffer = append([]byte(nil), envelope.EndOfEvent...)
}

func (e *events) heartbeat() error {
	e.buffer = envelope.AppendHeartbeat(e.buffer)
	return e.flush()
}

// flush sends what has been added. A client that does not receive it in time is
// disconnected; nothing else waits for it.
func (e *events) flush() error {
	if len(e.buffer) == 0 {
		return nil
	}
	parts := append(e.parts, e.buffer)
	e.parts, e.buffer = nil, nil // most streams are idle most of the time, and there are many of them
	err := e.send(parts)
	e.sent = time.Now()
	_ = e.control.SetWriteDeadline(time.Time{}) // over HTTP/2 the deadline would end the stream even between two writes
	return err
}

func (e *events) send(parts [][]byte) error {
	for _, part := range parts {
		n, err := e.x.put(part)
		if e.x.bytes += n; err != nil {
			return err
		}
	}
	return e.control.Flush()
}

// until calls next, which waits, and sends heartbeats while nothing happens. next returns
// early when its channel receives a value. The error is that of next or of the stream.
func (e *events) until(next func(early <-chan time.Time) (news bool, err error)) error {
	timer := time.NewTimer(time.Until(e.sent.Add(heartbeatEvery)))
	defer timer.Stop()
	for {
		if news, err := next(timer.C); news || err != nil {
			return err
		}
		if err := e.heartbeat(); err != nil {
			return err
		}
		timer.Reset(heartbeatEvery)
	}
}

// stream follows one known execution to its end.
func (x *exchange) stream(arn cache.ARN, r *cache.Record, v *view) error {
	seen := headers.LastEventID(x.r)
	if r.Terminal && r.Version <= seen {
		x.w.Header()["Cache-Control"] = envelope.NoStore
		x.sendHead(http.StatusNoContent) // which ends an EventSource
		return nil
	}
	return x.wait(1, streamEnd(), (&following{arn: arn, newest: r, view: v, seen: seen}).step)
}

// following is the stream of one execution: its current state and each newer one, until
// it ends.
type following struct {
	*events // nil: no step has run yet
	arn     cache.ARN
	watch   *changes.Watch
	newest  *cache.Record
	view    *view
	seen    cache.Version // by the client
}

// step implements the type step. After the end of a stream, the client connects again and
// continues where it was.
func (f *following) step(x *exchange) error {
	if f.events == nil {
		if err := f.begin(x); err != nil {
			return nil
		}
	}
	if over, err := f.send(x); over || err != nil {
		return nil
	}
	return x.again(f.sent.Add(heartbeatEvery))
}

func (f *following) begin(x *exchange) (err error) {
	f.watch = x.server.options.Changes.WatchFunc(x.waiter.Wake, f.arn)
	f.events, err = x.openStream()
	x.waiter.AtEnd(func() {
		f.watch.Close()
		f.close()
	})
	if err == nil {
		ctx, release := x.waiter.Context(x.r.Context())
		defer release()
		_ = f.watch.Read(ctx) // if Redis could not be read, the change is reported again
	}
	return err
}

// send sends a new state, or a heartbeat if one is due, and reports whether the stream
// has ended.
func (f *following) send(x *exchange) (over bool, err error) {
	if err := x.waiter.Ended(); err != nil {
		return true, err
	}
	f.watch.News()
	if r := f.watch.Records()[0]; r != nil && r.Version >= f.newest.Version {
		f.newest = r
	}
	if !x.caller.MayRead(f.newest) {
		return true, errForeign
	}
	if f.newest.Version > f.seen {
		f.seen = f.newest.Version
		f.event("status", string(f.seen), f.view.render(x, f.newest).Data())
	}
	if over = f.newest.Terminal; over {
		f.event("end", "", []byte("{}"))
	}
	return over, f.alive()
}

// alive sends what has been added, or a heartbeat if one is due.
func (e *events) alive() error {
	if len(e.buffer) == 0 && time.Since(e.sent) >= heartbeatEvery {
		return e.heartbeat()
	}
	return e.flush()
}
