package ingest

import (
	"errors"
	"slices"
	"sync"
	"time"

	"statuscache/cache"
)

// batch is what became of the messages of one receive so far.
type batch struct {
	pending  []received // to be merged
	finished []Message  // to be deleted
}

type received struct {
	message Message
	event   cache.Execution
}

// decode sorts messages. What will never make sense is in neither list: it is
// left to the redrive policy of the queue.
func (c *Consumer) decode(messages []Message) *batch {
	b, now := &batch{}, time.Now()
	for _, m := range messages {
		if m.Damaged {
			c.damaged(m)
			continue
		}
		event, err := c.decoder.Decode([]byte(m.Body))
		switch {
		case errors.Is(err, ErrNotOurs) || err == nil && !c.ours(event.ARN):
			c.metrics.count(resultIgnored, 1)
			b.finished = append(b.finished, m)
		case err != nil:
			c.undecodable(m, err)
		default:
			c.wasDecoded()
			event.ReceivedAt = now
			b.pending = append(b.pending, received{message: m, event: event})
		}
	}
	return b
}

func (c *Consumer) ours(arn cache.ARN) bool {
	return len(c.options.StateMachines) == 0 || slices.ContainsFunc(c.options.StateMachines, arn.BelongsTo)
}

// hand is what a receiver has in hand. Its visibility is renewed by another
// goroutine.
type hand struct {
	mu       sync.Mutex
	messages []Message
}

func (h *hand) drop(done []Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.messages = slices.DeleteFunc(slices.Clone(h.messages), func(m Message) bool {
		return slices.ContainsFunc(done, func(d Message) bool { return d.Receipt == m.Receipt })
	})
}

func (h *hand) add(pending []received) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range pending {
		h.messages = append(h.messages, r.message)
	}
}

func (h *hand) now() []Message {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.messages
}

// onceSet remembers the latest few thousand names it was asked about.
type onceSet struct {
	mu   sync.Mutex
	seen map[string]struct{}
}

const onceSetSize = 10_000

func newOnceSet() *onceSet { return &onceSet{seen: map[string]struct{}{}} }

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
