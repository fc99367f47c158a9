package ingest

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestSlowApply keeps messages hidden for as long as it takes.
func TestSlowApply(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, known, bodies := newFakeQueue(), newFakeCache(), histories(20)
		known.slow = 90 * time.Second
		q.send(bodies...)
		p := startProcess(t, q, known)
		pass(2 * time.Minute)
		p.stop()
		checkState(t, known, bodies)
		checkDrained(t, q, 1)
		checkAccounts(t, q, p)
	})
}

// TestSlowApplyWithoutRenewal is the control: where nobody renews it, the
// visibility runs out and messages are delivered twice.
func TestSlowApplyWithoutRenewal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, known := newFakeQueue(), newFakeCache()
		known.slow = 90 * time.Second
		q.send(histories(5)...)
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				naive(t, 2*time.Minute, func(ctx context.Context) {
					if messages, _ := q.Receive(ctx, pollWait); len(messages) > 0 {
						batch, _ := executions(messages)
						known.Apply(ctx, batch)
						_, _ = q.Delete(ctx, messages)
					}
				})
			})
		}
		all.Wait()
		if c := q.counts(); c.mostReceives < 2 {
			t.Errorf("no message was delivered twice: %+v", c)
		}
	})
}

// TestDrain stops a process while it has messages in flight. Goroutines that it
// left behind would be noticed by synctest.
func TestDrain(t *testing.T) {
	t.Parallel()
	hang := func(ctx context.Context) { <-ctx.Done() }
	for name, c := range map[string]struct {
		fault    func(q *fakeQueue, c *fakeCache)
		took     time.Duration // at most
		finished bool
	}{
		"no fault":        {func(*fakeQueue, *fakeCache) {}, 0, true},
		"slow Apply":      {func(_ *fakeQueue, c *fakeCache) { c.slow = 4 * time.Second }, 4 * time.Second, true},
		"Apply hangs":     {func(_ *fakeQueue, c *fakeCache) { c.hang = true }, DrainLimit, false},
		"Apply too slow":  {func(_ *fakeQueue, c *fakeCache) { c.slow = time.Hour }, DrainLimit, false},
		"all unconfirmed": {func(_ *fakeQueue, c *fakeCache) { c.applyFault = failing("") }, time.Second, false},
		"Delete is slow": {func(q *fakeQueue, _ *fakeCache) {
			q.beforeDelete = func(ctx context.Context) { sleep(ctx, 4*time.Second) }
		}, 4 * time.Second, true},
		"Delete hangs": {func(q *fakeQueue, _ *fakeCache) { q.beforeDelete = hang }, DrainLimit, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q, known, bodies := newFakeQueue(), newFakeCache(), histories(15)
				p := startProcess(t, q, known)
				pass(5 * time.Second)
				known.with(func() { c.fault(q, known) })
				q.send(bodies...)
				for q.counts().deliveries < len(bodies) {
					pass(time.Millisecond)
				}
				q.send(statusEvent("later", "RUNNING")) // or it is in flight already
				if took := p.stop(); took > max(c.took, pollWait) {
					t.Errorf("stopped within %v, want %v", took, max(c.took, pollWait))
				}
				if left := q.counts(); (left.left <= 1) != c.finished || left.polling != 0 {
					t.Errorf("left behind: %+v", left)
				}

				known.with(func() { q.beforeDelete, known.slow, known.hang, known.applyFault = nil, 0, false, nil })
				next := startProcess(t, q, known)
				pass(Visibility + time.Second)
				next.stop()
				checkState(t, known, append(bodies, statusEvent("later", "RUNNING")))
				checkDrained(t, q, 2)
				checkAccounts(t, q, p, next)
			})
		})
	}
}

// TestMessagesCrossTheEnd says that messages which come while a process is
// stopping are in flight like all others: no receive is called off.
func TestMessagesCrossTheEnd(t *testing.T) {
	t.Parallel()
	for name, drained := range map[string]bool{"stopped": false, "drained before": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q, known, bodies := newFakeQueue(), newFakeCache(), histories(maxBatch/2)
				p := startProcess(t, q, known)
				pass(7 * time.Second)
				took := make(chan time.Duration, 1)
				if drained {
					p.consumer.Drain()
				} else {
					go func() { took <- p.stop() }()
				}
				pass(time.Second)
				receives := q.counts().receives
				q.send(bodies...)
				pass(pollWait)
				if drained {
					took <- p.stop()
				}
				if d := <-took; d > pollWait {
					t.Errorf("stopped within %v, want %v", d, pollWait)
				}
				checkState(t, known, bodies)
				checkDrained(t, q, 1)
				checkAccounts(t, q, p)
				if c := q.counts(); c.calledOff != 0 || c.receives != receives {
					t.Errorf("%d receives were called off, %d began after it began to stop", c.calledOff, c.receives-receives)
				}
			})
		})
	}
}

// TestCancelledReceives is the control: they swallow messages.
func TestCancelledReceives(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, bodies := newFakeQueue(), histories(5)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _, _ = q.Receive(ctx, pollWait) }()
		pass(time.Second)
		q.mu.Lock() // they come as it is called off
		quiet := newFakeQueue()
		quiet.send(bodies...)
		q.messages = quiet.messages
		q.mu.Unlock()
		cancel()
		synctest.Wait()
		if messages, err := q.Receive(t.Context(), pollWait); len(messages) > 0 || q.counts().left != len(bodies) {
			t.Errorf("received %d, %v; %+v", len(messages), err, q.counts())
		}
	})
}

// TestQueueDown counts what a queue that fails for 10 minutes costs.
func TestQueueDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, known, bodies := newFakeQueue(), newFakeCache(), histories(20)
		begin, instants := time.Now(), map[time.Time]int{}
		q.receiveFault = func() error {
			instants[time.Now()]++
			return errFault
		}
		processes := []*process{startProcess(t, q, known), startProcess(t, q, known)}
		pass(time.Minute)
		first := q.counts().receives
		pass(9 * time.Minute)
		last, seconds := q.counts().receives-first, int(9*time.Minute/time.Second)
		// Each process has one receiver that tries. The pauses begin with 0.1 s, double, and
		// end between 10 and 20 s.
		if most := len(processes) * (seconds/10 + 1); last > most || last < most/2 {
			t.Errorf("%d receives in 9 minutes, want %d to %d", last, most/2, most)
		}
		if most := len(processes) * 15; first > most || first < len(processes)*8 {
			t.Errorf("%d receives in the first minute, want %d to %d", first, len(processes)*8, most)
		}
		delete(instants, begin)
		if all := q.counts().receives; len(instants) < all*9/10-len(processes) {
			t.Errorf("%d receives at %d instants: no jitter", all, len(instants))
		}
		errors := 0.0
		for _, p := range processes {
			errors += testutil.ToFloat64(p.consumer.metrics.receiveErrors)
		}
		if int(errors) != q.counts().receives {
			t.Errorf("%v receive errors counted, want %d", errors, q.counts().receives)
		}

		q.with(func() { q.receiveFault = nil })
		q.send(bodies...)
		pass(maxReceivePause)
		for _, p := range processes {
			p.stop()
		}
		checkState(t, known, bodies)
		checkDrained(t, q, 1)
		checkAccounts(t, q, processes...)
	})
}

// TestQueueDownWithoutBackOff is the control: what a fixed pause would cost.
func TestQueueDownWithoutBackOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue()
		q.receiveFault = func() error { return errFault }
		naive(t, 10*time.Minute, func(ctx context.Context) {
			_, _ = q.Receive(ctx, pollWait)
			sleep(ctx, minRetryPause)
		})
		if n := q.counts().receives; n < 5000 {
			t.Errorf("%d receives by one receiver in 10 minutes", n)
		}
	})
}
