package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"statuscache/cache"
	"statuscache/cache/cachetest"
	"statuscache/ingest/event"
)

// process is a consumer that runs in the bubble of a test.
type process struct {
	consumer *Consumer
	logs     *cachetest.Log
	stop     func() time.Duration // returns how long it took
}

// startProcess starts a consumer that stops with the test at the latest.
func startProcess(t *testing.T, q Queue, a Applier, stateMachines ...string) *process {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &process{logs: &cachetest.Log{}}
	p.consumer = NewConsumer(Options{
		Queue: q, Cache: a, Known: a.(Versions), Mismatches: a.(Mismatches), StateMachines: stateMachines,
		Log: slog.New(slog.NewTextHandler(p.logs, nil)), Metrics: prometheus.NewRegistry(),
	})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := p.consumer.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	p.stop = func() time.Duration {
		begin := time.Now()
		cancel()
		<-ended
		return time.Since(begin)
	}
	t.Cleanup(func() { p.stop() })
	return p
}

func (p *process) count(what result) int {
	return int(testutil.ToFloat64(p.consumer.metrics.events.WithLabelValues(string(what))))
}

func (p *process) paused() bool { return testutil.ToFloat64(p.consumer.metrics.paused) == 1 }

// pass lets time pass in the bubble, and what follows from it happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// machine is how the ARNs of the executions begin.
const machine = "arn:aws:states:us-east-1:210987654321:execution:cloudsigma-rule-generation:"

// statusEvent is the body of a message about an execution.
func statusEvent(name, status string) string {
	detail := fmt.Sprintf(`"executionArn":"%s%s","status":"%s","startDate":1769414400123,"redriveCount":0`, machine, name, status)
	if status != "RUNNING" {
		detail += `,"stopDate":1769414442000`
	}
	return eventOf(detail)
}

// eventOf makes an event of the text of its detail.
func eventOf(detail string) string {
	return `{"id":"1","detail-type":"` + event.DetailType + `","source":"` + event.Source + `","time":"2026-01-26T08:00:42Z","detail":{` + detail + `}}`
}

// ended is the beginning of the detail of an execution that has ended.
const ended = `"executionArn":"` + machine + `x","status":"SUCCEEDED","startDate":1769414400123,"stopDate":1769414442000`

// histories are the messages of n executions from start to end, half of them in
// the wrong order.
func histories(n int) []string {
	var bodies []string
	for i := range n {
		name := fmt.Sprintf("x-%d", i)
		both := []string{statusEvent(name, "RUNNING"), statusEvent(name, "SUCCEEDED")}
		if i%2 == 1 {
			slices.Reverse(both)
		}
		bodies = append(bodies, both...)
	}
	return bodies
}

// checkAccounts checks that every delivery ended as one of the results.
func checkAccounts(t *testing.T, q *fakeQueue, processes ...*process) {
	t.Helper()
	sum := 0
	for _, p := range processes {
		for _, each := range []result{resultApplied, resultSuperseded, resultExpired, resultIgnored, resultUndecodable, resultRetried} {
			sum += p.count(each)
		}
	}
	if got := q.counts().deliveries; got != sum {
		t.Errorf("%d deliveries, %d results", got, sum)
	}
}

// checkState checks that the cache knows the join of all messages, no less and
// no more.
func checkState(t *testing.T, c *fakeCache, bodies []string) {
	t.Helper()
	if diff := cmp.Diff(joined(bodies...), c.state()); diff != "" {
		t.Errorf("what is known (-want +got):\n%s", diff)
	}
}

// checkDrained checks that the queue is empty, without dead letters, and that no
// message was delivered more than atMost times.
func checkDrained(t *testing.T, q *fakeQueue, atMost int) {
	t.Helper()
	if c := q.counts(); c.left != 0 || c.dead != 0 || c.mostReceives > atMost {
		t.Errorf("%d left, %d dead letters, %d deliveries of one message, want 0, 0, at most %d", c.left, c.dead, c.mostReceives, atMost)
	}
}

// mortal is what a process has of the world: nothing once it was killed, at the
// Apply with the number killAt, right before or right after that took effect.
type mortal struct {
	*fakeQueue
	*fakeCache
	killAt  int32
	before  bool
	applies atomic.Int32
	killed  atomic.Bool
}

func (m *mortal) Receive(ctx context.Context, wait time.Duration) ([]Message, error) {
	if m.killed.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return m.fakeQueue.Receive(ctx, wait)
}

func (m *mortal) Delete(ctx context.Context, batch []Message) ([]Message, error) {
	if m.killed.Load() {
		return batch, errFault
	}
	return m.fakeQueue.Delete(ctx, batch)
}

func (m *mortal) ExtendVisibility(ctx context.Context, batch []Message, d time.Duration) error {
	if m.killed.Load() {
		return errFault
	}
	return m.fakeQueue.ExtendVisibility(ctx, batch, d)
}

func (m *mortal) Apply(ctx context.Context, batch []cache.Execution) []cache.Outcome {
	last := m.applies.Add(1) == m.killAt
	if last && m.before {
		m.killed.Store(true)
	}
	if m.killed.Load() {
		return slices.Repeat([]cache.Outcome{{Verdict: cache.Unconfirmed, Err: errFault}}, len(batch))
	}
	outcomes := m.fakeCache.Apply(ctx, batch)
	if last {
		m.killed.Store(true)
	}
	return outcomes
}

// naive runs the round of a consumer that is not ours again and again.
func naive(t *testing.T, d time.Duration, round func(context.Context)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	for ctx.Err() == nil {
		round(ctx)
	}
}

// executions decodes messages, up to the first that cannot be decoded.
func executions(messages []Message) (batch []cache.Execution, err error) {
	for _, m := range messages {
		ev, err := new(event.Decoder).Decode([]byte(m.Body))
		if err != nil {
			return batch, err
		}
		batch = append(batch, ev)
	}
	return batch, nil
}
