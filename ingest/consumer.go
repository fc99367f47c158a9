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
	"go.opentelemetry.io/otel/trace"

	"statuscache/cache"
	"statuscache/ingest/event"
	"statuscache/ingest/internal/traces"
)

// Message is one delivery of an SQS message.
type Message struct {
	ID       string // the same in every delivery
	Receipt  string // receipt of this delivery
	Body     string
	Damaged  bool      // the body does not match its checksum
	Receives int       // deliveries so far, this one included; 0: not known
	Trace    string    // X-Ray header of its trace; empty: none
	Sent     time.Time // when it was sent to the queue; zero: not known
}

// Queue is the source of messages. It must be safe for concurrent use.
type Queue interface {
	// Receive waits for messages for at most wait, in whole seconds. If it is canceled,
	// messages may stay hidden until their visibility timeout ends.
	Receive(ctx context.Context, wait time.Duration) ([]Message, error)
	// Delete removes messages and returns those that are not removed.
	Delete(ctx context.Context, batch []Message) (left []Message, err error)
	// ExtendVisibility hides messages from other receivers until d from now.
	ExtendVisibility(ctx context.Context, batch []Message, d time.Duration) error
	// Waiting returns the approximate number of messages that can be received now.
	Waiting(ctx context.Context) (int, error)
}

// Applier merges observations into the cache.
type Applier interface {
	Apply(ctx context.Context, batch []cache.Execution) []cache.Outcome
	// Ping returns nil if the cache accepts observations now.
	Ping(ctx context.Context) error
}

// How messages are received and held.
const (
	receivers = 8 // batches in flight, at most

	// Visibility is how long a received message is hidden from other receivers.
	// It is renewed while the message is in flight.
	Visibility      = 30 * time.Second
	visibilityRenew = Visibility / 3

	// DrainLimit is how long Run may take to stop unless Options set another limit. In
	// this time receives end, and messages in flight are finished.
	DrainLimit      = 15 * time.Second
	queueCallLimit  = 5 * time.Second // each call except Receive
	minRetryPause   = 100 * time.Millisecond
	maxRetryPause   = 5 * time.Second
	maxReceivePause = 20 * time.Second
	giveBackAfter   = 5    // attempts, if other messages succeed in the meantime
	giveBackAlone   = 1000 // attempts, about an hour, if none succeeds: other messages must get their turn
	deleteAttempts  = 3
)

// Options configure a Consumer.
type Options struct {
	Queue         Queue
	Cache         Applier
	Inputs        event.Decoder // how the input of an execution is read
	StateMachines []string      // ARNs; events of others are ignored; empty: all
	// Known and Mismatches are needed for events without a start date, which stand-ins send
	// but Step Functions does not. nil: these events cannot be read.
	Known      Versions
	Mismatches Mismatches
	LeftOut    func()        // called when an event left out an output or owner that must be fetched; may be nil
	DrainLimit time.Duration // how long Run may take to stop; 0: DrainLimit
	Log        *slog.Logger
	Metrics    prometheus.Registerer
	Traces     trace.TracerProvider // nil: no spans are made
}

// Consumer moves events from a queue into the cache. The package comment describes the
// life of a message.
type Consumer struct {
	options Options
	decoder event.Decoder
	gate    *gate
	metrics *metrics
	traces  *traces.Tracer
	outages *outages
	logged  *onceSet

	decoded, stored, deleted majority // by message

	pollers    *pollers // decide how many receivers poll
	pollWait   time.Duration
	handled    *handled // messages to delete
	unfinished inFlight // messages that are unfinished when Run stops

	draining  chan struct{} // closed when no more receives may start
	drain     sync.Once
	confirmed atomic.Int64 // number of messages of all receivers that the cache confirmed
	arrived   atomic.Int64 // time of the last received messages, in ns since 1970
	reached   atomic.Int64 // messages sent until this time were received, in ms since 1970; 0: not known
	looked    time.Time    // time of the last request for the depth of the queue; zero: messages have arrived since
}

// NewConsumer returns a Consumer. Run starts it.
func NewConsumer(o Options) *Consumer {
	if o.DrainLimit == 0 {
		o.DrainLimit = DrainLimit
	}
	m := newMetrics(o.Metrics)
	out := newOutages(time.Now, o.Log, m.failing)
	return &Consumer{
		options:  o,
		decoder:  o.Inputs,
		gate:     newGate(o.Cache.Ping, out, m.paused),
		metrics:  m,
		traces:   traces.New(o.Traces),
		outages:  out,
		logged:   newOnceSet(),
		pollers:  newPollers(),
		pollWait: pollWaitWithin(o.DrainLimit),
		handled:  newHandled(),
		draining: make(chan struct{}),
	}
}

// Failure returns a *PartFailure if a part has failed for half a minute or more, so that events
// are not applied, otherwise nil. The metric statuscache_ingest_trouble has the same meaning.
func (c *Consumer) Failure(part Part) error { return c.outages.failure(part) }

// Drain stops new receives. Call it as soon as the process begins to stop, so that
// running receives end before the context of Run does.
func (c *Consumer) Drain() { c.drain.Do(func() { close(c.draining) }) }

// Run consumes until ctx ends. Then it waits for receives, and finishes and deletes
// messages in flight, for DrainLimit at most. It returns nil.
func (c *Consumer) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(c.options.DrainLimit, cancel) })()

	var wg sync.WaitGroup
	c.arrived.Store(time.Now().UnixNano())
	wg.Go(func() { c.gate.run(ctx) })
	wg.Go(func() { c.outages.run(ctx) })
	wg.Go(func() { c.watchLag(ctx) })
	receiving, received := context.WithCancel(work)
	wg.Go(func() { c.deleteGathered(receiving, work) })
	wg.Go(func() {
		defer received()
		var all sync.WaitGroup
		for range receivers {
			all.Go(func() { c.receive(ctx, work) })
		}
		all.Wait()
	})
	wg.Wait()
	c.giveBack(work)
	return nil
}

func (c *Consumer) drained() bool {
	select {
	case <-c.draining:
		return true
	default:
		return false
	}
}

// handle handles the messages of one batch until each is confirmed or returned to the
// queue. During this time they are hidden from other receivers.
func (c *Consumer) handle(ctx, work context.Context, messages []Message) {
	work, span := c.traces.Batch(work, len(messages))
	defer span.End("", nil)
	b := c.decode(work, messages)
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
			break // other messages succeed, so these messages are the problem, not Redis
		}
		if len(b.pending) == tried {
			c.gate.suspect()
		}
		sleep(ctx, jitter(pause))
		if c.gate.await(ctx) != nil { // this process stops; another one continues
			c.unfinished.add(b.pending)
			break
		}
	}
	for _, r := range b.pending {
		if !r.partly { // otherwise it is already counted
			c.metrics.count(resultRetried, 1)
		}
		r.span.End(string(resultRetried), nil)
	}
}

// apply merges pending messages and returns those to delete. Unconfirmed messages stay
// pending.
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
		r.span.End(string(verdict), nil)
		leftOut = leftOut || verdict == cache.Applied && slices.ContainsFunc(r.events, leavesOut)
		if !r.partly { // otherwise it is already counted, and left to the dead-letter queue
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

// outcome combines the outcomes of the events of one message: the best verdict, or why an
// event is not confirmed.
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

// leavesOut reports whether the event left out something that must be fetched from Step
// Functions.
func leavesOut(e cache.Execution) bool {
	return e.OwnerLeftOut || e.LabelsLeftOut || e.Completeness == cache.OutputAwaited
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// jitter returns a random duration between d/2 and d, so that not all act at the same time.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }
