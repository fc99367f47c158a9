package ingest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// maxReceives is how often fakeQueue delivers a message before it goes to the
// dead letters.
const maxReceives = 3

var errFault = errors.New("the fault of this test")

// fakeQueue is a queue in memory that treats its messages as SQS does. The
// faults are set before a consumer starts, or through with.
type fakeQueue struct {
	mu       sync.Mutex
	messages []*queued // as they were sent; those that are deleted stay
	changed  chan struct{}

	deliveries, receives, polling, extended int

	calledOff    int  // receives that were
	withholding  bool // nothing is given, although it is there
	garbled      bool // what is given cannot be read
	extendFault  error
	receiveFault func() error
	deleteFault  func(m Message) error     // of one message
	deleteReply  func([]Message) error     // the deletes happened, their answer is lost
	comesBack    func(m *queued) bool      // after its delete
	beforeDelete func(ctx context.Context) // of every call
}

type queued struct {
	id, body      string
	receives      int
	visible       time.Time
	deleted, dead bool
	damaged       bool
}

func newFakeQueue() *fakeQueue { return &fakeQueue{changed: make(chan struct{})} }

// with runs f while nobody else looks at the queue, and wakes the long polls.
func (q *fakeQueue) with(f func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	f()
	close(q.changed)
	q.changed = make(chan struct{})
}

func (q *fakeQueue) send(bodies ...string) {
	q.with(func() {
		for _, body := range bodies {
			q.messages = append(q.messages, &queued{id: fmt.Sprintf("message-%d", len(q.messages)+1), body: body})
		}
	})
}

// Receive implements Queue.
func (q *fakeQueue) Receive(ctx context.Context, wait time.Duration) ([]Message, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.receives++
	q.polling++
	defer func() { q.polling-- }()
	if q.receiveFault != nil {
		if err := q.receiveFault(); err != nil {
			return nil, err
		}
	}
	for end := time.Now().Add(wait); ctx.Err() == nil; {
		batch, next := q.take(end)
		left := time.Until(next)
		if len(batch) > 0 || left <= 0 {
			return batch, nil
		}
		q.wait(ctx, left)
	}
	q.calledOff++
	q.take(time.Time{}) // as SQS may do: what there is goes where nobody listens
	return nil, ctx.Err()
}

// Waiting implements Queue.
func (q *fakeQueue) Waiting(context.Context) (n int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.messages {
		if !m.deleted && !m.dead && !m.visible.After(time.Now()) {
			n++
		}
	}
	return n, nil
}

// take returns what can be delivered now, or else when to look again.
func (q *fakeQueue) take(end time.Time) (batch []Message, next time.Time) {
	next, now := end, time.Now()
	if q.withholding {
		return nil, next
	}
	for _, m := range q.messages {
		switch {
		case m.deleted || m.dead:
		case m.visible.After(now):
			if m.visible.Before(next) {
				next = m.visible
			}
		case m.receives == maxReceives:
			m.dead = true
		case len(batch) < maxBatch:
			m.receives++
			m.visible = now.Add(Visibility)
			q.deliveries++
			body := m.body
			if q.garbled {
				body = "garbled"
			}
			batch = append(batch, Message{ID: m.id, Receipt: m.receipt(), Body: body, Receives: m.receives, Damaged: m.damaged})
		}
	}
	return batch, next
}

// wait gives the lock away until something changed, ctx ends or d is over.
func (q *fakeQueue) wait(ctx context.Context, d time.Duration) {
	changed := q.changed
	q.mu.Unlock()
	defer q.mu.Lock()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-changed:
	case <-t.C:
	}
}

func (m *queued) receipt() string { return fmt.Sprintf("%s, delivery %d", m.id, m.receives) }

// of returns the message of a receipt, or nil if it is deleted or if that was
// not its latest delivery.
func (q *fakeQueue) of(receipt string) *queued {
	for _, m := range q.messages {
		if m.receipt() == receipt && !m.deleted && !m.dead {
			return m
		}
	}
	return nil
}

// Delete implements Queue. As SQS does, it says that a delete with an old
// receipt was done, and does nothing.
func (q *fakeQueue) Delete(ctx context.Context, batch []Message) (left []Message, err error) {
	if q.beforeDelete != nil {
		q.beforeDelete(ctx)
	}
	if ctx.Err() != nil {
		return batch, ctx.Err()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range batch {
		if q.deleteFault != nil {
			if fault := q.deleteFault(m); fault != nil {
				left, err = append(left, m), fault
				continue
			}
		}
		if stored := q.of(m.Receipt); stored != nil {
			stored.deleted = q.comesBack == nil || !q.comesBack(stored)
		}
	}
	if q.deleteReply != nil {
		if fault := q.deleteReply(batch); fault != nil {
			return batch, fault
		}
	}
	return left, err
}

// ExtendVisibility implements Queue.
func (q *fakeQueue) ExtendVisibility(ctx context.Context, batch []Message, d time.Duration) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	err := q.extendFault
	if err != nil {
		return err
	}
	for _, m := range batch {
		stored := q.of(m.Receipt)
		if stored == nil {
			err = errors.New("no such message in flight")
			continue
		}
		stored.visible = time.Now().Add(d)
		q.extended++
	}
	return err
}

// counts is what a test looks at.
type counts struct{ deliveries, receives, polling, calledOff, extended, left, dead, mostReceives int }

func (q *fakeQueue) counts() counts {
	q.mu.Lock()
	defer q.mu.Unlock()
	c := counts{deliveries: q.deliveries, receives: q.receives, polling: q.polling, calledOff: q.calledOff, extended: q.extended}
	for _, m := range q.messages {
		c.mostReceives = max(c.mostReceives, m.receives)
		switch {
		case m.dead:
			c.dead++
		case !m.deleted:
			c.left++
		}
	}
	return c
}

// deadLetters returns the bodies of the dead letters.
func (q *fakeQueue) deadLetters() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	var bodies []string
	for _, m := range q.messages {
		if m.dead {
			bodies = append(bodies, m.body)
		}
	}
	return bodies
}
