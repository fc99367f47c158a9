package ingest

import (
	"errors"
	"slices"
	"sync"
	"time"

	"statuscache/cache"
)

// batch is the messages of one receive, as far as they are handled.
type batch struct {
	pending  []received // to merge
	finished []Message  // to delete
}

// received is a message and its events.
type received struct {
	message Message
	events  []cache.Execution
	partly  bool // some of it cannot be decoded, so it is never deleted
}

// decode sorts messages. An undecodable message is in neither list: it is left to the
// redrive policy of the queue.
func (c *Consumer) decode(messages []Message) *batch {
	b, now := &batch{}, time.Now()
	for _, m := range messages {
		if m.Damaged {
			c.damaged(m)
			continue
		}
		events, err := c.decoder.DecodeAll([]byte(m.Body))
		if c.options.Known == nil && slices.ContainsFunc(events, undated) {
			events, err = nil, undecodable("startDate is missing")
		}
		events = slices.DeleteFunc(events, func(e cache.Execution) bool { return !c.ours(e.ARN) })
		for i := range events {
			events[i].ReceivedAt = now
		}
		switch unread := errors.Is(err, ErrUndecodable); {
		case unread && len(events) == 0:
			c.undecodable(m, err)
		case len(events) == 0:
			c.metrics.count(resultIgnored, 1)
			b.finished = append(b.finished, m)
		default:
			if !unread {
				c.wasDecoded()
			} else {
				c.undecodable(m, err)
			}
			b.pending = append(b.pending, received{m, events, unread})
		}
	}
	return b
}

func undated(e cache.Execution) bool { return e.StartDate.IsZero() }

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
