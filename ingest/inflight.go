package ingest

import (
	"context"
	"slices"
	"sync"
	"time"
)

// inFlight are the unfinished messages of a receiver. Another goroutine renews their
// visibility.
type inFlight struct {
	mu       sync.Mutex
	messages []Message
}

func (h *inFlight) drop(done []Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.messages = slices.DeleteFunc(slices.Clone(h.messages), func(m Message) bool {
		return slices.ContainsFunc(done, func(d Message) bool { return d.Receipt == m.Receipt })
	})
}

func (h *inFlight) add(pending []received) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range pending {
		h.messages = append(h.messages, r.message)
	}
}

func (h *inFlight) now() []Message {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.messages
}

// keepHidden renews the visibility of messages in flight until stop is called.
func (c *Consumer) keepHidden(ctx context.Context, held *inFlight) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(visibilityRenew)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			call, cancelCall := context.WithTimeout(ctx, queueCallLimit)
			if err := c.options.Queue.ExtendVisibility(call, held.now(), Visibility); err == nil {
				c.outages.works(PartDelete, causeHide)
			} else if ctx.Err() == nil {
				c.outages.fails(PartDelete, causeHide, c.outages.now(), untilForgotten, queueReason(err))
			}
			cancelCall()
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// giveBack makes unfinished messages visible, so that another process can continue at
// once. It runs after the last receive, which would otherwise receive them again. If
// giveBack fails, they become visible when their visibility timeout ends.
func (c *Consumer) giveBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, queueCallLimit)
	defer cancel()
	for some := range slices.Chunk(c.unfinished.now(), maxBatch) {
		if err := c.options.Queue.ExtendVisibility(ctx, some, 0); err != nil {
			c.options.Log.Info("could not return messages to the queue; they will be received again after their visibility timeout", "count", len(some), "error", err)
		}
	}
}
