package ingest

import (
	"context"
	"slices"
	"sync"
	"time"
)

// hand is what a receiver has in hand. Its visibility is renewed by another
// goroutine.
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

// finish deletes messages that are dealt with. One that stays comes again, and
// is superseded then.
func (c *Consumer) finish(ctx context.Context, held *inFlight, messages []Message) {
	held.drop(messages)
	for attempt, pause := 1, minRetryPause; len(messages) > 0; attempt, pause = attempt+1, 2*pause {
		call, cancel := context.WithTimeout(ctx, queueCallLimit)
		left, err := c.options.Queue.Delete(call, messages)
		cancel()
		c.wereDeleted(len(messages) - len(left))
		if messages = left; len(left) == 0 {
			return
		}
		if attempt == deleteAttempts || ctx.Err() != nil {
			c.notDeleted(len(left), err)
			return
		}
		sleep(ctx, jitter(pause))
	}
}

// keepHidden renews the visibility of what is in hand until stop is called.
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

// giveBack makes visible again what was not finished, so that another process goes on
// with it at once. It comes after the last receive, which would take it again. If it
// fails messages come back by themselves.
func (c *Consumer) giveBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, queueCallLimit)
	defer cancel()
	for some := range slices.Chunk(c.unfinished.now(), maxBatch) {
		if err := c.options.Queue.ExtendVisibility(ctx, some, 0); err != nil {
			c.options.Log.Info("could not give messages back; they come again when their visibility ends", "count", len(some), "error", err)
		}
	}
}
