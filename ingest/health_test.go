package ingest

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"statuscache/cache"
	"statuscache/cache/cachetest"
)

func TestOutages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		logs, m := &cachetest.Log{}, newMetrics(nil)
		o := newOutages(time.Now, slog.New(slog.NewTextHandler(logs, nil)), m.failing)
		why := reason{brief: "it is shut", text: "it is shut; open it", err: errFault}
		begun := time.Now()
		failFor := func(part Part, d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); pass(time.Second) {
				o.fails(part, "x", begun, 0, why)
				o.check()
			}
		}
		failFor(PartStore, 29*time.Second)
		if err := o.failure(PartStore); err != nil || logs.Lines("a part of ingest fails") != 1 || logs.Lines("reason=\"it is shut; open it\"") != 1 {
			t.Errorf("after 29 s: %v\n%s", err, logs)
		}
		failFor(PartStore, 2*time.Second)
		err := o.failure(PartStore)
		reported, ok := errors.AsType[*PartFailure](err)
		if !ok || !errors.Is(err, errFault) || reported.Public() != "events are not stored, and stay in the queue (for the last 31s): it is shut" || !strings.Contains(err.Error(), "open it") {
			t.Fatalf("after 31 s: %v", err)
		}
		if testutil.ToFloat64(m.failing.WithLabelValues("store")) != 1 || testutil.ToFloat64(m.failing.WithLabelValues("receive")) != 0 || o.failure(PartReceive) != nil {
			t.Error("the gauge does not say store alone")
		}
		failFor(PartStore, 5*time.Minute)
		if n := logs.Lines("a part of ingest fails"); n != 6 || logs.Lines("for=1m2s") != 1 {
			t.Errorf("%d lines in 5 1/2 minutes\n%s", n, logs)
		}
		for range 3 {
			o.works(PartStore, "x")
			o.check()
		}
		if n := logs.Lines("the part of ingest works again"); n != 1 || o.failure(PartStore) != nil || testutil.ToFloat64(m.failing.WithLabelValues("store")) != 0 {
			t.Errorf("%d lines that it is over", n)
		}
	})
}

// TestOutagesThatComeAndGo says that what fails now and then does not fill the log.
func TestOutagesThatComeAndGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		logs := &cachetest.Log{}
		o := newOutages(time.Now, slog.New(slog.NewTextHandler(logs, nil)), newMetrics(nil).failing)
		for range 60 {
			begun := time.Now()
			for range 5 {
				o.fails(PartReceive, "x", begun, 0, reason{"b", "t", errFault})
				pass(time.Second)
				o.check()
			}
			o.works(PartReceive, "x")
			pass(5 * time.Second)
			o.check()
			if err := o.failure(PartReceive); err != nil {
				t.Fatal(err)
			}
		}
		if n, again := logs.Lines("a part of ingest fails"), logs.Lines("the part of ingest works again"); n > 10 || n < 8 || again != n {
			t.Errorf("in 10 minutes %d lines that it fails, %d that it is over", n, again)
		}
	})
}

// TestOneFailureIsNotReported waits for a second one, or for a success.
func TestOneFailureIsNotReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOutages(time.Now, slog.New(slog.DiscardHandler), newMetrics(nil).failing)
		o.fails(PartDelete, "x", time.Now(), time.Minute, reason{"b", "t", errFault})
		pass(50 * time.Second)
		if err := o.failure(PartDelete); err != nil {
			t.Error(err)
		}
		o.fails(PartDelete, "x", time.Now(), time.Minute, reason{"b", "t", errFault})
		if err := o.failure(PartDelete); err == nil {
			t.Error("no failure after a second one")
		}
		pass(61 * time.Second)
		o.check()
		if err := o.failure(PartDelete); err != nil {
			t.Errorf("a minute later, without another: %v", err)
		}
	})
}

func TestMajority(t *testing.T) {
	t.Parallel()
	var m majority
	for i, c := range []struct {
		failed bool
		n, run int
		most   bool
	}{
		{true, 1, 1, true}, {false, 1, 0, false}, {true, 2, 2, true}, {true, 0, 2, true}, {false, 30, 0, false},
		{true, 10, 10, false}, {true, 1, 11, true}, {false, 1, 0, true}, {false, 10, 0, false},
	} {
		if run, most := m.add(c.failed, c.n); run != c.run || most != c.most {
			t.Errorf("%d: run %d, most %v, want %+v", i, run, most, c)
		}
	}
}

// TestSilence breaks one part after the other. Each is reported, in health and by the
// metric, alone and in plain words; the log has few lines; and it ends.
func TestSilence(t *testing.T) {
	t.Parallel()
	faults := map[string]struct {
		part    Part
		brief   string
		traffic bool // fails only where there are messages
		set     func(q *fakeQueue, c *fakeCache, on bool)
	}{
		"receiving is refused": {PartReceive, "SQS returned an error", false, func(q *fakeQueue, _ *fakeCache, on bool) {
			q.receiveFault = map[bool]func() error{true: func() error { return errFault }}[on]
		}},
		"Redis refuses":   {PartStore, "Redis returned an error", false, func(_ *fakeQueue, c *fakeCache, on bool) { c.refusing = on }},
		"Redis is frozen": {PartStore, "Redis", false, func(_ *fakeQueue, c *fakeCache, on bool) { c.frozen = on }},
		"pings come, writes do not": {PartStore, "Redis returned an error", true, func(_ *fakeQueue, c *fakeCache, on bool) {
			c.applyFault = map[bool]func(*cache.Execution) error{true: failing("")}[on]
		}},
		"deletes fail": {PartDelete, "SQS returned an error", true, func(q *fakeQueue, _ *fakeCache, on bool) {
			q.deleteFault = map[bool]func(Message) error{true: func(Message) error { return errFault }}[on]
		}},
		"the queue keeps what it has": {PartLag, "the queue has messages but does not deliver them", true, func(q *fakeQueue, _ *fakeCache, on bool) { q.withholding = on }},
		"messages cannot be read":     {PartDecode, "the messages are not EventBridge events", true, func(q *fakeQueue, _ *fakeCache, on bool) { q.garbled = on }},
	}
	for name, c := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q, known := newFakeQueue(), newFakeCache()
				n := 0
				traffic := func(d time.Duration) { // a message every two seconds
					for end := time.Now().Add(d); time.Now().Before(end); pass(2 * time.Second) {
						if n++; c.traffic {
							q.send(statusEvent(fmt.Sprint("x-", n), "RUNNING"))
						}
					}
				}
				set := func(on bool) { q.with(func() { known.with(func() { c.set(q, known, on) }) }) }
				p := startProcess(t, q, known)
				traffic(5 * time.Minute)
				p.checkFailing(t, "")
				if n := p.logs.Lines("level=WARN"); n != 0 {
					t.Errorf("%d warnings before the fault\n%s", n, p.logs)
				}

				set(true)
				traffic(20 * time.Second)
				p.checkFailing(t, "")
				traffic(55 * time.Second)
				p.checkFailing(t, c.part)
				err := p.consumer.Failure(c.part)
				if reported, ok := errors.AsType[*PartFailure](err); !ok || !strings.Contains(reported.Public(), c.brief) {
					t.Errorf("%v, want %q", err, c.brief)
				}
				traffic(4 * time.Minute)
				p.checkFailing(t, c.part)
				if n := p.logs.Lines("level=WARN"); n < 3 || n > 7 || n != p.logs.Lines("part="+string(c.part)) {
					t.Errorf("%d warnings\n%s", n, p.logs)
				}

				set(false)
				traffic(2 * time.Minute)
				p.checkFailing(t, "")
				if n := p.logs.Lines("the part of ingest works again"); n != 1 {
					t.Errorf("%d lines that it is over\n%s", n, p.logs)
				}
			})
		})
	}
}

// checkFailing checks that this part fails and no other; "" is none.
func (p *process) checkFailing(t *testing.T, want Part) {
	t.Helper()
	for _, part := range Parts() {
		err := p.consumer.Failure(part)
		if gauge := testutil.ToFloat64(p.consumer.metrics.failing.WithLabelValues(string(part))); (err != nil) != (part == want) || (gauge == 1) != (part == want) {
			t.Errorf("%s: %v, gauge %v, want %q to fail", part, err, gauge, want)
		}
	}
}

// TestHealthyIngestReportsNothing is the control: what is ordinary is not reported.
func TestHealthyIngestReportsNothing(t *testing.T) {
	t.Parallel()
	for name, each := range map[string]func(q *fakeQueue, c *fakeCache, i int){
		"an idle queue":          func(*fakeQueue, *fakeCache, int) {},
		"a message now and then": func(q *fakeQueue, _ *fakeCache, i int) { q.send(statusEvent(fmt.Sprint("x-", i), "RUNNING")) },
		"one stray message": func(q *fakeQueue, _ *fakeCache, i int) {
			if i == 3 {
				q.send("stray")
			}
		},
		"a receive that fails alone": func(q *fakeQueue, _ *fakeCache, i int) {
			q.with(func() {
				once := i%5 == 0
				q.receiveFault = func() error {
					if once {
						once = false
						return errFault
					}
					return nil
				}
			})
		},
		"a third cannot be read": func(q *fakeQueue, _ *fakeCache, i int) {
			q.send(statusEvent(fmt.Sprint("x-", i), "RUNNING"), statusEvent(fmt.Sprint("x-", i), "SUCCEEDED"), fmt.Sprint("stray ", i))
		},
		"a third cannot be stored": func(q *fakeQueue, c *fakeCache, i int) {
			c.with(func() { c.applyFault = failing("bad") })
			q.send(statusEvent(fmt.Sprint("x-", i), "RUNNING"), statusEvent(fmt.Sprint("x-", i), "SUCCEEDED"), statusEvent(fmt.Sprint("bad-", i), "RUNNING"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q, known := newFakeQueue(), newFakeCache()
				p := startProcess(t, q, known)
				for i := range 60 {
					each(q, known, i)
					pass(10 * time.Second)
					p.checkFailing(t, "")
					if t.Failed() {
						return
					}
				}
			})
		})
	}
}
