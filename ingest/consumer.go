package ingest

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"statuscache/cache"
)

// Message is one delivery of an SQS message.
type Message struct {
	ID       string // the same in every delivery
	Receipt  string // of this delivery
	Body     string
	Damaged  bool // the body is not the one that was sent
	Receives int  // deliveries so far, with this one; 0: not told
}

// Queue is where messages come from. Its methods are called concurrently.
type Queue interface {
	// Receive waits for messages, for pollWait at most. Called off, it may swallow some.
	Receive(ctx context.Context) ([]Message, error)
	// Delete removes messages and returns those that are still there.
	Delete(ctx context.Context, batch []Message) (left []Message, err error)
	// ExtendVisibility keeps messages from being delivered again for d from now.
	ExtendVisibility(ctx context.Context, batch []Message, d time.Duration) error
	// Waiting returns about how many messages could be received now.
	Waiting(ctx context.Context) (int, error)
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

	// DrainLimit is how long Run goes on where Options leave it open: for receives to
	// end, and for what is in hand.
	DrainLimit      = 10 * time.Second
	queueCallLimit  = 5 * time.Second // each but a receive
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
	StateMachines []string      // ARNs of ours; empty: all
	Runs          Runs          // what is known of runs, for events without a start date; nil: these cannot be read
	LeftOut       func()        // called when an event left out what is to be asked for; nil: nobody cares
	DrainLimit    time.Duration // how long Run goes on when it is told to end; 0: DrainLimit
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
	outages *outages
	logged  *onceSet

	decoded, stored, deleted majority // by message

	unfinished inFlight // when Run is told to end

	draining  chan struct{} // closed when no receive is to begin any more
	drain     sync.Once
	confirmed atomic.Int64 // counts what the cache confirmed, whoever asked
	arrived   atomic.Int64 // when messages were received last, in ns since 1970
}

// NewConsumer returns a Consumer. Run starts it.
func NewConsumer(o Options) *Consumer {
	if o.DrainLimit == 0 {
		o.DrainLimit = DrainLimit
	}
	m := newMetrics(o.Metrics)
	out := newOutages(time.Now, o.Log, m.trouble)
	return &Consumer{
		options:  o,
		decoder:  Decoder{Owner: o.Owner},
		gate:     newGate(o.Cache.Ping, out, m.paused),
		metrics:  m,
		outages:  out,
		logged:   newOnceSet(),
		draining: make(chan struct{}),
	}
}

// Trouble returns a *Trouble if a part has kept events from being learnt for half a
// minute or more, else nil.
func (c *Consumer) Trouble(part Part) error { return c.outages.trouble(part) }

// Drain has no receive begin any more. Whoever stops a process calls it as early as
// can be, so that those under way have ended when Run is told to.
func (c *Consumer) Drain() { c.drain.Do(func() { close(c.draining) }) }

// Run consumes until ctx ends, then lets receives end, and finishes and deletes what
// is in hand, which takes DrainLimit at most. It returns nil.
func (c *Consumer) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(c.options.DrainLimit, cancel) })()

	var wg sync.WaitGroup
	c.arrived.Store(time.Now().UnixNano())
	wg.Go(func() { c.gate.run(ctx) })
	wg.Go(func() { c.outages.run(ctx) })
	wg.Go(func() { c.watchLag(ctx) })
	for range receivers {
		wg.Go(func() { c.receive(ctx, work) })
	}
	wg.Wait()
	c.giveBack(work)
	return nil
}

// receive takes batches one after the other until ctx ends. A receive under way then,
// and what is in hand, is finished in the context of work: called off, it could
// swallow messages (pollWait).
func (c *Consumer) receive(ctx, work context.Context) {
	pause := minRetryPause
	for c.gate.await(ctx) == nil && !c.drained() {
		begun := c.outages.now()
		messages, err := c.options.Queue.Receive(work)
		if err == nil {
			c.outages.works(PartReceive, causeQueue)
			pause = minRetryPause
		}
		if len(messages) > 0 {
			c.arrived.Store(time.Now().UnixNano())
			c.handle(ctx, work, messages)
		}
		if err != nil && work.Err() == nil {
			c.metrics.receiveErrors.Inc()
			c.outages.fails(PartReceive, causeQueue, begun, untilForgotten, queueReason(err))
			sleep(ctx, jitter(pause))
			pause = min(2*pause, maxReceivePause)
		}
	}
}

func (c *Consumer) drained() bool {
	select {
	case <-c.draining:
		return true
	default:
		return false
	}
}

// handle deals with the messages of one batch until each is confirmed or given
// back. They are hidden from other receivers meanwhile.
func (c *Consumer) handle(ctx, work context.Context, messages []Message) {
	b := c.decode(messages)
	held := &inFlight{messages: messages}
	stop := c.keepHidden(work, held)
	defer stop()

	c.finish(work, held, b.finished)
	before, attempts := c.confirmed.Load(), 0
	for pause := minRetryPause; len(b.pending) > 0; pause = min(2*pause, maxRetryPause) {
		tried := len(b.pending)
		c.finish(work, held, c.apply(work, held, b))
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
		if c.gate.await(ctx) != nil { // ending; whoever receives them next goes on
			c.unfinished.add(b.pending)
			break
		}
	}
	for _, r := range b.pending {
		if !r.partly { // else it is counted
			c.metrics.count(resultRetried, 1)
		}
	}
}

// apply has the cache merge what is pending and returns the messages that are to be
// deleted; what was not confirmed stays pending.
func (c *Consumer) apply(ctx context.Context, held *inFlight, b *batch) []Message {
	if err := c.date(ctx, held, b); err != nil {
		for _, r := range b.pending {
			c.notStored(r.message, err)
		}
		return nil
	}
	if len(b.pending) == 0 {
		return nil
	}
	var executions []cache.Execution
	for _, r := range b.pending {
		executions = append(executions, r.events...)
	}
	outcomes := c.options.Cache.Apply(ctx, executions)
	var done []Message
	var left []received
	settled, leftOut := 0, false
	for _, r := range b.pending {
		verdict, err := c.outcome(r, outcomes[:len(r.events)])
		outcomes = outcomes[len(r.events):]
		if err != nil {
			c.notStored(r.message, err)
			left = append(left, r)
			continue
		}
		settled++
		leftOut = leftOut || verdict == cache.Applied && slices.ContainsFunc(r.events, leavesOut)
		if !r.partly { // else it is counted, and left to the dead letters
			c.metrics.count(result(verdict), 1)
			done = append(done, r.message)
		}
	}
	c.wereStored(settled)
	if leftOut && c.options.LeftOut != nil {
		c.options.LeftOut()
	}
	b.pending = left
	return done
}

// outcome sums up what became of the events of one message: the best of it, or why it
// is not confirmed.
func (c *Consumer) outcome(r received, outcomes []cache.Outcome) (best cache.Verdict, err error) {
	for i, o := range outcomes {
		switch {
		case !o.Final():
			return cache.Unconfirmed, o.Err
		case o.Verdict == cache.Applied:
			c.metrics.observeAge(r.events[i].EmittedAt)
			best = cache.Applied
		case best == "" || best == cache.Expired:
			best = o.Verdict
		}
	}
	return best, nil
}

// leavesOut reports whether Step Functions is to be asked for a part of an event.
func leavesOut(e cache.Execution) bool {
	return e.OwnerLeftOut || e.Completeness == cache.OutputAwaited
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
