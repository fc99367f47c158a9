package writebatch

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	maxBatch  = 128       // writes in one round trip
	maxBytes  = 512 << 10 // of them, together
	helpAfter = 10 * time.Millisecond
)

// MaxWriters is how many round trips are under way at once, if they are slow.
const MaxWriters = 4

// Batcher gathers writes of type W. While a round trip is under way, new writes wait and share
// the next one: the more there are, the less each costs. Another one begins only if the first
// is slow. Nothing bounds how many wait: each caller waits for its own.
type Batcher[W any] struct {
	write func(context.Context, []W)
	size  func(W) int
	limit time.Duration

	mu      sync.Mutex
	waiting []*request[W] // oldest first
	writers int
	watched bool // help will be called
}

// request is what one caller wants written, all in the same round trip.
type request[W any] struct {
	base   context.Context // values of the caller's context; it never ends
	writes []W
	bytes  int
	begun  time.Time
	done   chan struct{}
}

// New returns a Batcher that calls write, which may take so long, with writes of many callers.
// size returns how many bytes one of them has.
func New[W any](write func(context.Context, []W), size func(W) int, limit time.Duration) *Batcher[W] {
	return &Batcher[W]{write: write, size: size, limit: limit}
}

// Do returns nil when the writes have been made, with those of other callers or not. It returns
// the error of ctx if that ends first. The writes may be under way even then, so the caller must
// not look at them.
func (b *Batcher[W]) Do(ctx context.Context, writes []W) error {
	r := &request[W]{base: context.WithoutCancel(ctx), writes: writes, begun: time.Now(), done: make(chan struct{})}
	for _, w := range writes {
		r.bytes += b.size(w)
	}
	b.add(r)
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		b.drop(r)
		return ctx.Err()
	}
}

func (b *Batcher[W]) add(r *request[W]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = append(b.waiting, r)
	switch {
	case b.writers == 0:
		b.writers++
		go b.drain()
	case !b.watched:
		b.watched = true
		time.AfterFunc(helpAfter, b.help)
	}
}

// drop takes back a request that has not begun.
func (b *Batcher[W]) drop(r *request[W]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.waiting, r); i >= 0 {
		b.waiting = slices.Delete(b.waiting, i, i+1)
	}
}

// help adds a writer if the oldest request has waited too long.
func (b *Batcher[W]) help() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watched = false
	if len(b.waiting) == 0 {
		return
	}
	if b.writers < MaxWriters && time.Since(b.waiting[0].begun) >= helpAfter/2 {
		b.writers++
		go b.drain()
		return
	}
	b.watched = true
	time.AfterFunc(helpAfter, b.help)
}

// drain writes until nothing is waiting.
func (b *Batcher[W]) drain() {
	for {
		batch := b.next()
		if batch == nil {
			return
		}
		b.make(batch)
	}
}

// next takes the requests of the next round trip: as many as fit, one at least. With nil the
// writer is done.
func (b *Batcher[W]) next() []*request[W] {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) == 0 {
		b.writers--
		return nil
	}
	n, writes, bytes := 0, 0, 0
	for _, r := range b.waiting {
		writes, bytes = writes+len(r.writes), bytes+r.bytes
		if n > 0 && (writes > maxBatch || bytes > maxBytes) {
			break
		}
		n++
	}
	batch := slices.Clone(b.waiting[:n])
	b.waiting = slices.Delete(b.waiting, 0, n)
	return batch
}

// make makes the writes of requests and has their callers continue.
func (b *Batcher[W]) make(batch []*request[W]) {
	writes := batch[0].writes
	if len(batch) > 1 {
		writes = nil
		for _, r := range batch {
			writes = append(writes, r.writes...)
		}
	}
	ctx, cancel := context.WithTimeout(batch[0].base, b.limit)
	defer cancel()
	b.write(ctx, writes)
	for _, r := range batch {
		close(r.done)
	}
}
