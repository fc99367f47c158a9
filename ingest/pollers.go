package ingest

import (
	"context"
	"sync"
	"time"
)

const (
	// pollWait is the longest time that a receive waits for messages. A canceled receive may
	// lose messages: SQS does not always notice the closed connection, sends messages into
	// it, and keeps them hidden for Visibility. So receives are never canceled, not even if
	// Redis fails or the process stops, and therefore they must be short. A wait of 20 s, the
	// maximum of SQS, would save 40 % of the price of an idle process. (aws/aws-sdk-go-v2
	// issue 2068, aws/aws-sdk-java-v2 issue 1395)
	pollWait = 12 * time.Second

	// A batch of this size starts or stops one more polling receiver.
	growFrom    = maxBatch / 2
	shrinkBelow = maxBatch / 3
)

// pollWaitWithin is how long a receive waits if Run may take limit to stop: the last
// received messages must be handled as well.
func pollWaitWithin(drainLimit time.Duration) time.Duration {
	return max(time.Second, min(pollWait, drainLimit*4/5).Truncate(time.Second))
}

// pollers decides how many receivers poll the queue at once. A request costs the same whether
// it brings ten messages, one or none. So while few messages arrive, one receiver polls. It
// receives each message at once, and no second poll costs money. Full batches show a backlog.
// Each of them adds a polling receiver, so that all receivers poll after a few round trips.
type pollers struct {
	free chan struct{} // one for each receiver that may begin to poll

	mu  sync.Mutex
	all int // number of turns, free and taken
}

func newPollers() *pollers {
	p := &pollers{free: make(chan struct{}, receivers), all: 1}
	p.free <- struct{}{}
	return p
}

// take waits for a turn. It returns false when receiving must end.
func (p *pollers) take(ctx context.Context, draining <-chan struct{}) bool {
	select {
	case <-p.free:
		return true
	case <-ctx.Done():
	case <-draining:
	}
	return false
}

// giveBack ends a turn that has received this number of messages.
func (p *pollers) giveBack(messages int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.all
	switch {
	case messages >= growFrom:
		p.all = min(p.all+1, receivers)
	case messages < shrinkBelow:
		p.all = max(p.all-1, 1)
	}
	for range 1 + p.all - before {
		p.free <- struct{}{}
	}
}

// receive handles one batch after the other until ctx ends. A running receive and
// messages in flight are then finished in the context work, because a canceled receive
// could lose messages (see pollWait). While a receiver handles a batch, another one
// polls.
func (c *Consumer) receive(ctx, work context.Context) {
	for c.pollers.take(ctx, c.draining) {
		messages := c.poll(ctx, work)
		c.pollers.giveBack(len(messages))
		if len(messages) > 0 {
			c.arrived.Store(time.Now().UnixNano())
			c.handle(ctx, work, messages)
		}
	}
}

// poll receives once. It repeats failed receives, with growing pauses, until receiving
// must end.
func (c *Consumer) poll(ctx, work context.Context) []Message {
	for pause := minRetryPause; c.gate.await(ctx) == nil && !c.drained(); pause = min(2*pause, maxReceivePause) {
		begun := c.outages.now()
		messages, err := c.options.Queue.Receive(work, c.pollWait)
		if err == nil {
			c.outages.works(PartReceive, causeQueue)
			c.reach(messages)
			return messages
		}
		if work.Err() == nil {
			c.metrics.receiveErrors.Inc()
			c.outages.fails(PartReceive, causeQueue, begun, untilForgotten, queueReason(err))
			sleep(ctx, jitter(pause))
		}
	}
	return nil
}
