package writebatch

import (
	"context"
	"time"

	"statuscache/cache/internal/batchqueue"
)

const (
	maxBatch = 128       // writes in one round trip
	maxBytes = 512 << 10 // of them, together
)

// Batcher gathers writes of type W. The number of waiting writes has no limit: each caller
// waits for its own.
type Batcher[W any] struct {
	write func(context.Context, []W)
	size  func(W) int
	limit time.Duration
	queue batchqueue.Queue[*request[W]]
}

// request has what one caller wants written, all in the same round trip.
type request[W any] struct {
	base   context.Context // values of the caller's context; it never ends
	writes []W
	bytes  int
	begun  time.Time
	done   chan struct{}
}

// New returns a Batcher that calls write with the writes of many callers. A call may take
// until limit. size returns how many bytes a write has.
func New[W any](write func(context.Context, []W), size func(W) int, limit time.Duration) *Batcher[W] {
	b := &Batcher[W]{write: write, size: size, limit: limit}
	b.queue.Run, b.queue.Fit, b.queue.Late = b.run, fit[W], late[W]
	return b
}

// Do returns nil when the writes have been made, with those of other callers or not. It returns
// the error of ctx if that ends first. The writes may be in progress even then, so the caller
// must not look at them.
func (b *Batcher[W]) Do(ctx context.Context, writes []W) error {
	r := &request[W]{base: context.WithoutCancel(ctx), writes: writes, begun: time.Now(), done: make(chan struct{})}
	for _, w := range writes {
		r.bytes += b.size(w)
	}
	b.queue.Add(0, r)
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		b.queue.Drop(func(waiting *request[W]) bool { return waiting == r })
		return ctx.Err()
	}
}

// late reports whether a request has waited for a while.
func late[W any](r *request[W]) bool { return time.Since(r.begun) >= batchqueue.HelpAfter/2 }

// fit returns how many requests one round trip takes.
func fit[W any](waiting []*request[W]) int {
	n, writes, bytes := 0, 0, 0
	for _, r := range waiting {
		writes, bytes = writes+len(r.writes), bytes+r.bytes
		if n > 0 && (writes > maxBatch || bytes > maxBytes) {
			break
		}
		n++
	}
	return n
}

// run makes the writes of requests and lets their callers continue.
func (b *Batcher[W]) run(requests []*request[W]) {
	writes := requests[0].writes
	if len(requests) > 1 {
		writes = nil
		for _, r := range requests {
			writes = append(writes, r.writes...)
		}
	}
	ctx, cancel := context.WithTimeout(requests[0].base, b.limit)
	defer cancel()
	b.write(ctx, writes)
	for _, r := range requests {
		close(r.done)
	}
}
