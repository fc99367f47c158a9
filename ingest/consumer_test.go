package ingest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"statuscache/cache"
)

// process is a consumer that runs in the bubble of a test.
type process struct {
	consumer *Consumer
	logs     *logText
	stop     func() time.Duration // returns how long it took
}

// startProcess starts a consumer that stops with the test at the latest.
func startProcess(t *testing.T, q Queue, a Applier, stateMachines ...string) *process {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &process{logs: &logText{}}
	p.consumer = NewConsumer(Options{
		Queue: q, Cache: a, StateMachines: stateMachines,
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
	return p
}

func (p *process) count(what result) int {
	return int(testutil.ToFloat64(p.consumer.metrics.events.WithLabelValues(string(what))))
}

type logText struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logText) lines(with string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for line := range strings.Lines(l.b.String()) {
		if strings.Contains(line, with) {
			n++
		}
	}
	return n
}

// pass lets time pass in the bubble, and what follows from it happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// statusEvent is the body of a message about an execution.
func statusEvent(name, status string) string {
	detail := fmt.Sprintf(`"executionArn":"%s%s","status":"%s","startDate":1769414400123,"redriveCount":0`, fixtureARN, name, status)
	if status != "RUNNING" {
		detail += `,"stopDate":1769414442000`
	}
	return string(event(detail))
}

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

func TestDeletesThatFail(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault  func(q *fakeQueue)
		atMost int // deliveries of a message
	}{
		"none": {func(*fakeQueue) {}, 1},
		"all, for 40 s": {func(q *fakeQueue) {
			begin := time.Now()
			q.deleteFault = func(Message) error {
				if time.Since(begin) < 40*time.Second {
					return errFault
				}
				return nil
			}
		}, 3},
		"each message once": {func(q *fakeQueue) {
			failed := map[string]bool{}
			q.deleteFault = func(m Message) error {
				if !failed[m.ID] {
					failed[m.ID] = true
					return errFault
				}
				return nil
			}
		}, 1},
		"one of a batch, always within a delivery": {func(q *fakeQueue) {
			q.deleteFault = func(m Message) error {
				if m.Receipt == m.ID+", delivery 1" && strings.HasSuffix(m.ID, "7") {
					return errFault
				}
				return nil
			}
		}, 2},
		"done, and the answer is lost": {func(q *fakeQueue) {
			calls := 0
			q.deleteReply = func([]Message) error {
				if calls++; calls%2 == 1 {
					return errFault
				}
				return nil
			}
		}, 1},
		"the first calls hang": {func(q *fakeQueue) {
			var calls atomic.Int32
			q.beforeDelete = func(ctx context.Context) {
				if calls.Add(1) <= 4 {
					<-ctx.Done()
				}
			}
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q, known, bodies := newFakeQueue(), newFakeCache(), histories(60)
				c.fault(q)
				q.send(bodies...)
				p := startProcess(t, q, known)
				pass(2 * time.Minute)
				p.stop()
				checkState(t, known, bodies)
				checkDrained(t, q, c.atMost)
				checkAccounts(t, q, p)
			})
		})
	}
}

// mortal is what a process has of the world: nothing once it was killed.
type mortal struct {
	*fakeQueue
	*fakeCache
	killed atomic.Bool
}

func (m *mortal) Receive(ctx context.Context) ([]Message, error) {
	if m.killed.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return m.fakeQueue.Receive(ctx)
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
	if m.killed.Load() {
		return slices.Repeat([]cache.Outcome{{Verdict: cache.Unconfirmed, Err: errFault}}, len(batch))
	}
	return m.fakeCache.Apply(ctx, batch)
}

func TestKilledBetweenApplyAndDelete(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, known, bodies := newFakeQueue(), newFakeCache(), histories(60)
		q.send(bodies...)
		var all []*process
		for kills := range 2 {
			m := &mortal{fakeQueue: q, fakeCache: known}
			at := known.applies + kills + 1
			known.with(func() { known.onApplied = func() { m.killed.Store(known.applies >= at) } })
			p := startProcess(t, m, m)
			pass(time.Minute)
			p.stop()
			if !m.killed.Load() {
				t.Fatal("the process was never killed")
			}
			all = append(all, p)
		}
		known.with(func() { known.onApplied = nil })
		all = append(all, startProcess(t, q, known))
		pass(time.Minute)
		all[2].stop()
		checkState(t, known, bodies)
		checkDrained(t, q, maxReceives)
		checkAccounts(t, q, all...)
	})
}

// TestDeletingFirstLoses is the control: what a consumer loses that deletes
// before it applies.
func TestDeletingFirstLoses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, known, bodies := newFakeQueue(), newFakeCache(), histories(60)
		q.send(bodies...)
		deleteFirst := func(m *mortal, killAt int) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			for batches := 1; ctx.Err() == nil; batches++ {
				messages, _ := m.Receive(ctx)
				_, _ = m.Delete(ctx, messages)
				m.killed.Store(m.killed.Load() || batches == killAt)
				m.Apply(ctx, executions(t, messages))
			}
		}
		deleteFirst(&mortal{fakeQueue: q, fakeCache: known}, 3)
		deleteFirst(&mortal{fakeQueue: q, fakeCache: known}, -1)
		if c := q.counts(); c.left != 0 || cmp.Equal(joined(bodies...), known.state()) {
			t.Errorf("nothing is lost, %d messages left", c.left)
		}
	})
}

func executions(t *testing.T, messages []Message) []cache.Execution {
	t.Helper()
	var batch []cache.Execution
	for _, m := range messages {
		ev, err := new(Decoder).Decode([]byte(m.Body))
		if err != nil {
			t.Error(err)
		}
		batch = append(batch, ev.Execution)
	}
	return batch
}
