package ingest

import (
	"context"
	"slices"
	"sync"
	"time"
)

// deleteWithin is the longest time that a handled message waits to be deleted together with
// others. A request that deletes one message costs as much as one that deletes ten. After its
// last renewal a message stays hidden for Visibility - visibilityRenew, which is longer than
// this wait and all attempts to delete it.
const deleteWithin = time.Second

// handled collects messages to delete. If the process is killed, they are received again.
type handled struct {
	begun chan struct{} // receives a value when the first message has been added

	mu       sync.Mutex
	messages []Message
}

func newHandled() *handled { return &handled{begun: make(chan struct{}, 1)} }

// add adds messages and returns those that fill a request; the caller must delete them.
func (h *handled) add(messages []Message) (full []Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	empty := len(h.messages) == 0
	all := slices.Concat(h.messages, messages)
	fit := len(all) - len(all)%maxBatch
	full, h.messages = all[:fit], all[fit:]
	if empty && len(h.messages) > 0 {
		select {
		case h.begun <- struct{}{}:
		default:
		}
	}
	return full
}

func (h *handled) take() []Message {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.messages
	h.messages = nil
	return all
}

// finish deletes handled messages, now or within deleteWithin. Their visibility is no
// longer renewed.
func (c *Consumer) finish(ctx context.Context, held *inFlight, messages []Message) {
	held.drop(messages)
	for some := range slices.Chunk(c.handled.add(messages), maxBatch) {
		c.delete(ctx, some)
	}
}

// deleteGathered deletes messages that do not fill a request in time, and the remaining
// ones when the context receiving has ended.
func (c *Consumer) deleteGathered(receiving, work context.Context) {
	for {
		last := receiving.Err() != nil
		c.delete(work, c.handled.take())
		if last {
			return
		}
		select {
		case <-c.handled.begun:
			sleep(receiving, deleteWithin)
		case <-receiving.Done():
		}
	}
}

// delete deletes at most maxBatch messages. A message that cannot be deleted is received
// again and is then superseded.
func (c *Consumer) delete(ctx context.Context, messages []Message) {
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
