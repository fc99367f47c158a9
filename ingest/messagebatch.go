package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"statuscache/cache"
	"statuscache/ingest/event"
	"statuscache/ingest/internal/traces"
)

// batch has the messages of one receive that are not yet merged or deleted.
type batch struct {
	pending  []received // to merge
	finished []Message  // to delete
}

// received is a message and its events.
type received struct {
	message Message
	events  []cache.Execution
	partly  bool // a part of it cannot be decoded, so it is never deleted
	span    traces.Span
}

// decode sorts messages into the two lists of a batch. An undecodable message is in neither,
// so the redrive policy of the queue applies to it.
func (c *Consumer) decode(ctx context.Context, messages []Message) *batch {
	b, now := &batch{}, time.Now()
	for _, m := range messages {
		ctx, span := c.traces.Message(ctx, m.ID, m.Trace, now)
		r := received{message: m, span: span}
		result, err := c.read(ctx, &r, now)
		switch result {
		case unfinished:
			b.pending = append(b.pending, r)
			continue
		case resultIgnored:
			b.finished = append(b.finished, m)
		}
		c.metrics.count(result, 1)
		span.End(string(result), err)
	}
	return b
}

const unfinished = result("") // the message is to be merged

// read reads the events of a message. If there is nothing to merge, it returns the result of
// the delivery.
func (c *Consumer) read(ctx context.Context, r *received, now time.Time) (result, error) {
	if r.message.Damaged {
		c.damaged(ctx, r.message)
		return resultRetried, nil
	}
	events, err := c.decoder.DecodeAll([]byte(r.message.Body))
	if c.options.Known == nil && slices.ContainsFunc(events, hasNoStartDate) {
		events, err = nil, fmt.Errorf("%w: startDate is missing", event.ErrUndecodable)
	}
	r.events = slices.DeleteFunc(events, func(e cache.Execution) bool { return !c.ours(e.ARN) })
	for i := range r.events {
		r.events[i].ReceivedAt = now
	}
	r.partly = errors.Is(err, event.ErrUndecodable)
	if r.partly {
		c.undecodable(ctx, r.message, err)
	}
	switch {
	case len(r.events) == 0 && r.partly:
		return resultUndecodable, err
	case len(r.events) == 0:
		return resultIgnored, nil
	case r.partly:
		c.metrics.count(resultUndecodable, 1)
	default:
		c.wasDecoded()
	}
	r.span.Execution(string(r.events[0].ARN))
	return unfinished, nil
}

func hasNoStartDate(e cache.Execution) bool { return e.StartDate.IsZero() }

func (c *Consumer) ours(arn cache.ARN) bool {
	return len(c.options.StateMachines) == 0 || slices.ContainsFunc(c.options.StateMachines, arn.BelongsTo)
}

// onceSet remembers the latest few thousand names.
type onceSet struct {
	mu   sync.Mutex
	seen map[string]struct{}
}

const onceSetSize = 10_000

func newOnceSet() *onceSet { return &onceSet{seen: map[string]struct{}{}} }

// first reports whether a name is new.
func (s *onceSet) first(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.seen[name]; ok {
		return false
	}
	if len(s.seen) >= onceSetSize {
		clear(s.seen)
	}
	s.seen[name] = struct{}{}
	return true
}
