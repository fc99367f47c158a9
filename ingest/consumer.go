package ingest

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"statuscache/cache"
)

// Message is one delivery of an SQS message.
type Message struct {
	ID      string // the same in every delivery
	Receipt string // of this delivery
	Body    string
}

// Queue is where messages come from. Its methods are called concurrently.
type Queue interface {
	// Receive waits for messages, for a long poll at most.
	Receive(ctx context.Context) ([]Message, error)
	// Delete removes messages and returns those that are still there.
	Delete(ctx context.Context, batch []Message) (left []Message, err error)
	// ExtendVisibility keeps messages from being delivered again for d from now.
	ExtendVisibility(ctx context.Context, batch []Message, d time.Duration) error
}

// Applier merges what was observed.
type Applier interface {
	Apply(ctx context.Context, batch []cache.Execution) []cache.Outcome
	// Ping returns nil if observations would be taken now.
	Ping(ctx context.Context) error
}

// How messages are received and held.
const (
	receivers = 8 // batches in hand at once

	// Visibility is how long a received message is hidden from other receivers.
	// It is renewed while the message is in hand.
	Visibility      = 30 * time.Second
	visibilityRenew = Visibility / 3

	drainLimit      = 10 * time.Second // what is in hand when Run is told to end
	queueCallLimit  = 5 * time.Second  // a delete or an extension
	minRetryPause   = 100 * time.Millisecond
	maxRetryPause   = 5 * time.Second
	maxReceivePause = 20 * time.Second
	giveBackAfter   = 5    // attempts, if others succeed meanwhile
	giveBackAlone   = 1000 // attempts, about an hour, if none does: others must have their turn
	deleteAttempts  = 3
)

// Options say what a Consumer works on.
type Options struct {
	Queue         Queue
	Cache         Applier
	Owner         OwnerPath
	StateMachines []string // ARNs of ours; empty: all
	LeftOut       func()   // called when an event left out what is to be asked for; nil: nobody cares
	Log           *slog.Logger
	Metrics       prometheus.Registerer
}

// Consumer moves events from a queue into the cache. The life of a message is
// described at the package.
type Consumer struct {
	options Options
	decoder Decoder
	gate    *gate
	metrics *metrics
	logged  *onceSet

	confirmed atomic.Int64 // counts what the cache confirmed, whoever asked
}

// NewConsumer returns a Consumer. Run starts it.
func NewConsumer(o Options) *Consumer {
	m := newMetrics(o.Metrics)
	return &Consumer{
		options: o,
		decoder: Decoder{Owner: o.Owner},
		gate:    newGate(o.Cache.Ping, o.Log, m.paused),
		metrics: m,
		logged:  newOnceSet(),
	}
}

// Run consumes until ctx ends, then finishes and deletes what it has in hand,
// which takes 10 s at most. It returns nil.
func (c *Consumer) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(drainLimit, cancel) })()

	var wg sync.WaitGroup
	wg.Go(func() { c.gate.run(ctx) })
	for range receivers {
		wg.Go(func() { c.receive(ctx, work) })
	}
	wg.Wait()
	return nil
}

// receive takes batches one after the other until ctx ends. What is in hand then
// is finished in the context of work.
func (c *Consumer) receive(ctx, work context.Context) {
	pause := minRetryPause
	for c.gate.await(ctx) == nil {
		open, done := c.gate.whileOpen(ctx)
		messages, err := c.options.Queue.Receive(open)
		interrupted := open.Err() != nil
		done()
		if len(messages) > 0 {
			c.handle(ctx, work, messages)
		}
		switch {
		case err == nil:
			pause = minRetryPause
		case !interrupted:
			c.metrics.receiveErrors.Inc()
			c.options.Log.Warn("cannot receive from the queue; trying again", "error", err, "pause", pause)
			sleep(ctx, jitter(pause))
			pause = min(2*pause, maxReceivePause)
		}
	}
}

// handle deals with the messages of one batch until each is confirmed or given
// back. They are hidden from other receivers meanwhile.
func (c *Consumer) handle(ctx, work context.Context, messages []Message) {
	b := c.decode(messages)
	held := &hand{messages: messages}
	stop := c.keepHidden(work, held)
	defer stop()

	c.finish(work, held, b.finished)
	before, attempts := c.confirmed.Load(), 0
	for pause := minRetryPause; len(b.pending) > 0; pause = min(2*pause, maxRetryPause) {
		tried := len(b.pending)
		c.finish(work, held, c.apply(work, b))
		if len(b.pending) == 0 {
			return
		}
		attempts++
		if attempts >= giveBackAfter && c.confirmed.Load() > before || attempts >= giveBackAlone {
			break // others come through: it is not Redis, it is these
		}
		if len(b.pending) == tried {
			c.gate.suspect()
		}
		sleep(ctx, jitter(pause))
		if c.gate.await(ctx) != nil {
			break // ending; whoever receives them next goes on
		}
	}
	c.metrics.count(resultRetried, len(b.pending))
}

// apply has the cache merge what is pending and returns the messages that are
// dealt with; the others stay pending.
func (c *Consumer) apply(ctx context.Context, b *batch) []Message {
	executions := make([]cache.Execution, len(b.pending))
	for i := range b.pending {
		executions[i] = b.pending[i].event
	}
	var done []Message
	var left []received
	var why error
	leftOut := false
	for i, outcome := range c.options.Cache.Apply(ctx, executions) {
		r := b.pending[i]
		if !outcome.Final() {
			left, why = append(left, r), outcome.Err
			continue
		}
		c.metrics.count(result(outcome.Verdict), 1)
		if outcome.Verdict == cache.Applied {
			c.metrics.observeAge(r.event.EmittedAt)
			leftOut = leftOut || r.event.OwnerLeftOut || r.event.Completeness == cache.OutputAwaited
		}
		done = append(done, r.message)
	}
	if len(left) > 0 {
		c.options.Log.Warn("not confirmed; holding the messages", "count", len(left), "error", why)
	}
	c.confirmed.Add(int64(len(done)))
	if leftOut && c.options.LeftOut != nil {
		c.options.LeftOut()
	}
	b.pending = left
	return done
}

// finish deletes messages that are dealt with. One that stays comes again, and
// is superseded then.
func (c *Consumer) finish(ctx context.Context, held *hand, messages []Message) {
	held.drop(messages)
	for attempt, pause := 1, minRetryPause; len(messages) > 0; attempt, pause = attempt+1, 2*pause {
		call, cancel := context.WithTimeout(ctx, queueCallLimit)
		left, err := c.options.Queue.Delete(call, messages)
		cancel()
		if len(left) == 0 {
			return
		}
		messages = left
		if attempt == deleteAttempts || ctx.Err() != nil {
			c.metrics.deletesFailed.Add(float64(len(left)))
			c.options.Log.Warn("messages stay in the queue and come again", "count", len(left), "error", err)
			return
		}
		sleep(ctx, jitter(pause))
	}
}

// keepHidden renews the visibility of what is in hand until stop is called.
func (c *Consumer) keepHidden(ctx context.Context, held *hand) (stop func()) {
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
			if err := c.options.Queue.ExtendVisibility(call, held.now(), Visibility); err != nil && ctx.Err() == nil {
				c.options.Log.Warn("cannot keep messages hidden; they may be delivered twice", "error", err)
			}
			cancelCall()
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// jitter returns between half of d and d, so that receivers spread out.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }
