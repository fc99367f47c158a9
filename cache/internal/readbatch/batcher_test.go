package readbatch

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"statuscache/cache/internal/redisdb"
)

// read is a Read that remembers how it ended.
type read struct {
	ctx      context.Context
	key      string
	deadline time.Time
	ends     []error
}

func (r *read) Key() string               { return r.key }
func (r *read) Base() context.Context     { return r.ctx }
func (r *read) Deadline() time.Time       { return r.deadline }
func (r *read) End(_ Value, failed error) { r.ends = append(r.ends, failed) }

// TestTooManyWaitingReadsAreRefused: the last that fits is queued, and the next ends at
// once, alone or among others.
func TestTooManyWaitingReadsAreRefused(t *testing.T) {
	t.Parallel()
	db, err := redisdb.Open(redisdb.Options{URL: "redis://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	b := New(db, prometheus.NewCounter(prometheus.CounterOpts{Name: "batches"}))
	newRead := func() *read { return &read{ctx: t.Context(), key: "k", deadline: time.Now().Add(time.Hour)} }
	q := b.queue(db.Readers)
	taken, end := make(chan struct{}), make(chan struct{})
	q.reads.Run = func([]Read) { // nothing else is taken from the queue meanwhile
		close(taken)
		<-end
	}
	q.reads.Late = func(Read) bool { return false }
	b.Do(newRead())
	<-taken
	first := make([]Read, maxWaiting-1)
	for i := range first {
		first[i] = newRead()
	}
	b.Do(first...)

	last := newRead()
	b.Do(last)
	if len(last.ends) != 0 {
		t.Fatalf("the last that fits ended with %v", last.ends)
	}
	refused := []*read{newRead(), newRead(), newRead()}
	b.Do(refused[0])
	b.Do(refused[1], refused[2])
	for i, r := range refused {
		if len(r.ends) != 1 || !errors.Is(r.ends[0], ErrOverloaded) {
			t.Errorf("read %d beyond the bound ended with %v", i, r.ends)
		}
	}
	left := 0
	q.reads.Drop(func(r Read) bool { left++; return false })
	if left != maxWaiting {
		t.Errorf("%d reads are waiting", left)
	}
	q.reads.Run = func([]Read) {}
	close(end)
}

// TestAReadThatWaitedTooLongIsNotSent: it ends with an error, and later reads are not affected.
func TestAReadThatWaitedTooLongIsNotSent(t *testing.T) {
	t.Parallel()
	late := &read{ctx: t.Context(), key: "late", deadline: time.Now()}
	early := &read{ctx: t.Context(), key: "early", deadline: time.Now().Add(time.Hour)}
	rest := new(queue).endLate([]Read{late, early})
	if len(rest) != 1 || rest[0] != early || len(early.ends) != 0 {
		t.Errorf("left: %v", rest)
	}
	if len(late.ends) != 1 || !errors.Is(late.ends[0], errTooLate) {
		t.Errorf("the late one ended with %v", late.ends)
	}
}
