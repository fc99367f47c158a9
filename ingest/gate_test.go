package ingest

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"statuscache/cache"
	"statuscache/ingest/event"
)

// TestFrozenCache freezes the cache for 60 s while messages come. Those that
// were received before stay in flight, the others stay in the queue.
func TestFrozenCache(t *testing.T) {
	t.Parallel()
	for name, freeze := range map[string]func(c *fakeCache, on bool){
		"calls fail late":    func(c *fakeCache, on bool) { c.frozen = on },
		"calls fail at once": func(c *fakeCache, on bool) { c.refusing = on },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q, known, bodies := newFakeQueue(), newFakeCache(), histories(200)
				p := startProcess(t, q, known)
				pass(5 * time.Second)
				known.with(func() { freeze(known, true) })
				q.send(bodies[:50]...)
				pass(time.Second)
				receives := q.counts().receives
				if !p.paused() {
					t.Error("not paused after 1 s")
				}
				for _, body := range bodies[50:] {
					q.send(body)
					pass(59 * time.Second / 350)
				}
				if c := q.counts(); c.polling != 0 || c.receives != receives || c.calledOff != 0 || c.deliveries > receivers*maxBatch || c.mostReceives > 1 {
					t.Errorf("frozen: %+v; %d receives before", c, receives)
				}
				known.with(func() { freeze(known, false) })
				pass(5 * time.Second)
				checkState(t, known, bodies)
				checkDrained(t, q, 1)
				p.stop()
				checkAccounts(t, q, p)
				if n := testutil.ToFloat64(p.consumer.metrics.receiveErrors); n != 0 || p.paused() {
					t.Errorf("%v receive errors counted, want none for polls that were called off; paused %v", n, p.paused())
				}
			})
		})
	}
}

// TestFrozenCacheWithoutGate is the control: a consumer that keeps receiving
// and gives back what it could not apply takes good messages to the dead letters.
func TestFrozenCacheWithoutGate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, known, bodies := newFakeQueue(), newFakeCache(), histories(100)
		known.frozen = true
		q.send(bodies...)
		naive(t, time.Minute, func(ctx context.Context) {
			messages, _ := q.Receive(ctx, pollWait)
			batch, _ := executions(messages)
			known.Apply(ctx, batch)
			_ = q.ExtendVisibility(ctx, messages, 0)
		})
		if c := q.counts(); c.dead < len(bodies)/2 {
			t.Errorf("%d dead letters of %d messages", c.dead, len(bodies))
		}
	})
}

// TestFrozenBeforeTheStart says that not even the first receive comes before a
// ping: a process that is restarted again and again would burn receive counts.
func TestFrozenBeforeTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, known, bodies := newFakeQueue(), newFakeCache(), histories(50)
		known.frozen = true
		q.send(bodies...)
		var all []*process
		for range maxReceives + 1 {
			p := startProcess(t, q, known)
			pass(Visibility + time.Second)
			if !p.paused() {
				t.Error("not paused")
			}
			p.stop()
			all = append(all, p)
		}
		if n := q.counts().deliveries; n != 0 {
			t.Errorf("%d deliveries while the cache is frozen", n)
		}
		known.with(func() { known.frozen = false })
		all = append(all, startProcess(t, q, known))
		pass(5 * time.Second)
		checkState(t, known, bodies)
		checkDrained(t, q, 1)
		checkAccounts(t, q, all...)
	})
}

// TestPingThatHangs says that no answer in time is an answer.
func TestPingThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, known, bodies := newFakeQueue(), newFakeCache(), histories(5)
		var stuck atomic.Bool
		known.beforePing = func(ctx context.Context) {
			if stuck.Load() {
				sleep(ctx, time.Minute)
			}
		}
		p := startProcess(t, q, known)
		pass(5 * time.Second)
		stuck.Store(true)
		pass(time.Second)
		receives := q.counts().receives
		pass(2 * pollWait)
		if c := q.counts(); c.receives != receives || c.calledOff != 0 {
			t.Errorf("%d receives began 1 s later, %d were called off", c.receives-receives, c.calledOff)
		}
		stuck.Store(false)
		pass(time.Minute)
		q.send(bodies...)
		pass(time.Second)
		p.stop()
		checkState(t, known, bodies)
		checkAccounts(t, q, p)
	})
}

// TestOneThatAlwaysFails gives back the one that is at fault, and only that.
func TestOneThatAlwaysFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, known, good, bad := newFakeQueue(), newFakeCache(), histories(100), statusEvent("bad", "RUNNING")
		known.applyFault = failing("bad")
		q.send(good[:5]...)
		q.send(bad)
		q.send(good[5:50]...)
		p := startProcess(t, q, known)
		pass(2 * time.Second)
		checkState(t, known, good[:50])
		if c := q.counts(); c.left != 1 {
			t.Errorf("%d messages left, want the bad one", c.left)
		}
		for _, body := range good[50:] {
			q.send(body)
			pass(time.Second)
		}
		p.stop()
		checkState(t, known, good)
		checkAccounts(t, q, p)
		if dead := q.deadLetters(); len(dead) != 1 || dead[0] != bad || p.count(resultRetried) != maxReceives || q.counts().left != 0 {
			t.Errorf("dead letters %q, retried %d, %d left", dead, p.count(resultRetried), q.counts().left)
		}
	})
}

func failing(name string) func(*cache.Execution) error {
	return func(e *cache.Execution) error {
		if strings.HasPrefix(e.ARN.Name(), name) {
			return errFault
		}
		return nil
	}
}

// TestOneThatFailsAlone holds a message whose fault cannot be attributed, because no other
// comes, and keeps receiving.
func TestOneThatFailsAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, known := newFakeQueue(), newFakeCache()
		known.applyFault = failing("")
		q.send(statusEvent("bad", "RUNNING"), strings.Replace(statusEvent("x", "RUNNING"), event.Source, "aws.batch", 1))
		p := startProcess(t, q, known)
		pass(10 * time.Minute)
		c := q.counts()
		p.stop()
		if most := receivers * int(11*time.Minute/pollWait); c.receives > most || c.deliveries != 2 || c.left != 1 {
			t.Errorf("%d receives in 10 minutes, want at most %d; %+v", c.receives, most, c)
		}
		if n := p.logs.Lines("part=delete"); n > 0 {
			t.Errorf("%d times visibility could not be renewed: not only of what is in flight", n)
		}
		checkAccounts(t, q, p)
	})
}

// TestAllFailWhilePingSucceeds holds everything: it may be Redis after all.
func TestAllFailWhilePingSucceeds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, known, bodies := newFakeQueue(), newFakeCache(), histories(200)
		known.applyFault = failing("")
		q.send(bodies...)
		p := startProcess(t, q, known)
		pass(10 * time.Minute)
		if c := q.counts(); c.deliveries != receivers*maxBatch || c.mostReceives != 1 || c.dead != 0 || c.extended == 0 {
			t.Errorf("after 10 minutes: %+v", c)
		}
		if n := p.count(resultRetried); n != 0 {
			t.Errorf("%d given back", n)
		}
		known.with(func() { known.applyFault = nil })
		pass(10 * time.Second)
		p.stop()
		checkState(t, known, bodies)
		checkDrained(t, q, 1)
		checkAccounts(t, q, p)
	})
}

// TestBadMessagesInEveryReceiver says that messages at fault do not keep all others
// out for ever, even where each receiver holds one of them and nothing else.
func TestBadMessagesInEveryReceiver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, known, good := newFakeQueue(), newFakeCache(), histories(50)
		known.applyFault = failing("bad")
		p := startProcess(t, q, known)
		for i := range receivers {
			q.send(statusEvent("bad-"+strconv.Itoa(i), "RUNNING"))
			pass(time.Second)
		}
		q.send(good...)
		pass(time.Minute)
		if len(known.state()) != 0 {
			t.Fatal("not every receiver holds a bad message")
		}
		pass(2 * time.Hour)
		checkState(t, known, good)
		p.stop()
		checkAccounts(t, q, p)
	})
}

// TestReplyLostAfterApplying repeats what was applied, which changes nothing.
func TestReplyLostAfterApplying(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, known, bodies := newFakeQueue(), newFakeCache(), histories(60)
		reported := map[string]bool{}
		known.lostReply = func(e *cache.Execution) error {
			if state := string(e.ARN) + stateOf(e); !reported[state] {
				reported[state] = true
				return errFault
			}
			return nil
		}
		q.send(bodies...)
		p := startProcess(t, q, known)
		pass(time.Minute)
		p.stop()
		checkState(t, known, bodies)
		checkDrained(t, q, 1)
		checkAccounts(t, q, p)
		if n := p.count(resultApplied); n != 0 {
			t.Errorf("%d applied, though each reply of that was lost", n)
		}
	})
}

func TestGate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var fault atomic.Value
		var pings atomic.Int32
		m := newMetrics(nil)
		g := newGate(func(context.Context) error {
			pings.Add(1)
			err, _ := fault.Load().(error)
			return err
		}, newOutages(time.Now, slog.New(slog.DiscardHandler), m.failing), m.paused)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go g.run(ctx)
		if err := g.await(ctx); err != nil {
			t.Fatal(err)
		}

		pass(time.Minute)
		if n := pings.Load(); n < 120 || n > 241 {
			t.Errorf("%d pings in a minute, want one each 250 to 500 ms", n)
		}
		before := pings.Load()
		g.suspect()
		synctest.Wait()
		if shut, _ := g.state(); shut || pings.Load() != before+1 {
			t.Errorf("suspected: shut %v, %d pings", shut, pings.Load()-before)
		}
		fault.Store(errFault)
		pass(time.Minute)
		if shut, _ := g.state(); !shut || testutil.ToFloat64(m.paused) != 1 {
			t.Error("not shut")
		}
		cancel()
		if err := g.await(ctx); err == nil {
			t.Error("open after the end")
		}
	})
}
