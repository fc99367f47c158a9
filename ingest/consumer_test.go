package ingest

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"statuscache/cache"
	"statuscache/ingest/event"
)

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

func TestKilledAroundApply(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]bool{"before": true, "after": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q, known, bodies := newFakeQueue(), newFakeCache(), histories(60)
				q.send(bodies...)
				var all []*process
				for _, killAt := range []int32{1, 2, 0} { // the third process lives
					m := &mortal{fakeQueue: q, fakeCache: known, killAt: killAt, before: before}
					p := startProcess(t, m, m)
					pass(time.Minute)
					p.stop()
					if m.killed.Load() != (killAt > 0) {
						t.Errorf("killed at Apply %d: %v", killAt, m.killed.Load())
					}
					all = append(all, p)
				}
				checkState(t, known, bodies)
				checkDrained(t, q, maxReceives)
				checkAccounts(t, q, all...)
			})
		})
	}
}

// TestDeletingFirstLoses is the control: what a consumer loses that deletes
// before it applies.
func TestDeletingFirstLoses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, known, bodies := newFakeQueue(), newFakeCache(), histories(60)
		q.send(bodies...)
		for _, killAt := range []int32{3, 0} { // the second process lives
			m := &mortal{fakeQueue: q, fakeCache: known, killAt: killAt, before: true}
			naive(t, time.Minute, func(ctx context.Context) {
				messages, _ := m.Receive(ctx, pollWait)
				_, _ = m.Delete(ctx, messages)
				batch, _ := executions(messages)
				m.Apply(ctx, batch)
			})
		}
		if c := q.counts(); c.left != 0 || cmp.Equal(joined(bodies...), known.state()) {
			t.Errorf("nothing is lost, %d messages left", c.left)
		}
	})
}

// TestMessageReturnsAfterItsDelete is what SQS may do: it is superseded then.
func TestMessageReturnsAfterItsDelete(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, known, bodies := newFakeQueue(), newFakeCache(), histories(25)
		q.comesBack = func(m *queued) bool { return m.receives == 1 }
		q.send(bodies...)
		p := startProcess(t, q, known)
		pass(10 * time.Second)
		before, applied, superseded := known.state(), p.count(resultApplied), p.count(resultSuperseded)
		pass(time.Minute)
		p.stop()
		checkState(t, known, bodies)
		checkDrained(t, q, 2)
		checkAccounts(t, q, p)
		if diff := cmp.Diff(before, known.state()); diff != "" {
			t.Errorf("state changed:\n%s", diff)
		}
		if a, s := p.count(resultApplied), p.count(resultSuperseded); a != applied || s != superseded+len(bodies) {
			t.Errorf("applied %d more, superseded %d more, want 0 and %d", a-applied, s-superseded, len(bodies))
		}
	})
}

// assigning is a cache that takes every observation for the newest.
type assigning struct{ *fakeCache }

func (a assigning) Apply(_ context.Context, batch []cache.Execution) []cache.Outcome {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range batch {
		a.records[batch[i].ARN] = stateOf(&batch[i])
	}
	return slices.Repeat([]cache.Outcome{{Verdict: cache.Applied}}, len(batch))
}

// TestMessageReturnsToAnAssignment is the control: where nothing is joined, a
// RUNNING that returns hides what came after it.
func TestMessageReturnsToAnAssignment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, known, bodies := newFakeQueue(), newFakeCache(), []string{statusEvent("x", "RUNNING"), statusEvent("x", "SUCCEEDED")}
		q.comesBack = func(m *queued) bool { return m.receives == 1 && m.body == bodies[0] }
		q.send(bodies...)
		p := startProcess(t, q, assigning{known})
		pass(time.Second)
		checkState(t, known, bodies)
		pass(time.Minute)
		p.stop()
		if cmp.Equal(joined(bodies...), known.state()) {
			t.Error("the message that returned did no harm")
		}
	})
}

// TestPoison mixes messages that will never make sense among good ones, of which
// one has a status that nobody knows yet.
func TestPoison(t *testing.T) {
	t.Parallel()
	good := append(histories(20), statusEvent("new", "HIBERNATING"))
	poison := []string{
		"", "hello", `{"source":"aws.states"`, "[]", "null", strings.Repeat("x", event.MaxBody), strings.Repeat(`{"a":`, event.MaxBody/5),
		"{\"source\":\"aws.states\x00\"}", eventOf(ended + `,"redriveCount":"many"`), eventOf(`"executionArn":7`),
		eventOf(ended+`,"output":"`) + strings.Repeat(" ", event.MaxBody), eventOf(ended + `,"input":` + strings.Repeat("[", 10_001)),
	}
	synctest.Test(t, func(t *testing.T) {
		q, known := newFakeQueue(), newFakeCache()
		for i, body := range good {
			q.send(body)
			if i%3 == 0 && i/3 < len(poison) {
				q.send(poison[i/3])
			}
		}
		p := startProcess(t, q, known)
		pass(time.Second)
		checkState(t, known, good)
		if c := q.counts(); c.left != len(poison) || c.deliveries != len(good)+len(poison) {
			t.Errorf("%d left after %d deliveries, want %d after %d", c.left, c.deliveries, len(poison), len(good)+len(poison))
		}
		pass(3 * time.Minute)
		p.stop()
		checkState(t, known, good)
		checkAccounts(t, q, p)
		if diff := cmp.Diff(poison, q.deadLetters()); diff != "" {
			t.Errorf("dead letters (-want +got):\n%.2000s", diff)
		}
		if n := p.count(resultUndecodable); n != maxReceives*len(poison) {
			t.Errorf("undecodable %d, want %d", n, maxReceives*len(poison))
		}
		for _, m := range q.messages {
			if n := p.logs.Lines("message=" + m.id + " "); n != 0 != m.dead || n > 1 {
				t.Errorf("%s, dead %v: logged %d times", m.id, m.dead, n)
			}
		}
	})
}

// TestPoisonStopsABatch is the control: a consumer that gives up a batch at the
// first message it cannot decode takes good ones to the dead letters.
func TestPoisonStopsABatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, known := newFakeQueue(), newFakeCache()
		q.send(statusEvent("x", "RUNNING"), "hello", statusEvent("y", "RUNNING"))
		naive(t, 3*time.Minute, func(ctx context.Context) {
			messages, _ := q.Receive(ctx, pollWait)
			batch, err := executions(messages)
			if err == nil && len(batch) > 0 {
				known.Apply(ctx, batch)
				_, _ = q.Delete(ctx, messages)
			}
		})
		if c := q.counts(); c.dead != 3 || len(known.state()) != 0 {
			t.Errorf("%d dead letters, %d executions known", c.dead, len(known.state()))
		}
	})
}

func TestNotOurs(t *testing.T) {
	t.Parallel()
	const machine = "arn:aws:states:us-east-1:210987654321:stateMachine:cloudsigma-rule-generation"
	ours := statusEvent("x", "SUCCEEDED")
	otherMachine := strings.ReplaceAll(ours, "cloudsigma-rule-generation", "cloudsigma-rule-generation-2")
	for name, c := range map[string]struct {
		machines []string
		body     string
		ignored  int
	}{
		"no filter":          {nil, otherMachine, 0},
		"ours":               {[]string{machine + "-0", machine}, ours, 0},
		"other machine":      {[]string{machine}, otherMachine, 1},
		"other source":       {nil, strings.Replace(ours, "aws.states", "aws.batch", 1), 1},
		"other detail-type":  {nil, strings.Replace(ours, "Execution Status Change", "Map Run Status Change", 1), 1},
		"of both the former": {[]string{machine}, strings.Replace(ours, "aws.states", "aws.ec2", 1), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q, known := newFakeQueue(), newFakeCache()
				q.send(c.body)
				p := startProcess(t, q, known, c.machines...)
				pass(time.Second)
				p.stop()
				checkDrained(t, q, 1)
				checkAccounts(t, q, p)
				if i, a := p.count(resultIgnored), p.count(resultApplied); i != c.ignored || a != 1-c.ignored || len(known.state()) != a {
					t.Errorf("ignored %d, applied %d, known %d", i, a, len(known.state()))
				}
			})
		})
	}
}

func TestExpiredIsDeleted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, known := newFakeQueue(), newFakeCache()
		q.send(strings.ReplaceAll(statusEvent("x", "RUNNING"), "1769414400123", "1400000000000"))
		p := startProcess(t, q, known)
		pass(time.Second)
		p.stop()
		checkDrained(t, q, 1)
		checkAccounts(t, q, p)
		if n := p.count(resultExpired); n != 1 {
			t.Errorf("expired %d, want 1", n)
		}
	})
}
