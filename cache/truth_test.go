package cache

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"statuscache/cache/cachetest"
)

// truthSuite is the part of the store suite that is about what is known of the
// knowledge itself: trails, budgets, sweeps and losses.
var truthSuite = map[string]func(*testing.T, *Cache){
	"a trail tells what became of each observation": func(t *testing.T, c *Cache) {
		arn, start := testARN(t, "trail"), now()
		if _, err := c.Register(t.Context(), Registration{ARN: arn, Owner: "ada"}); err != nil {
			t.Fatal(err)
		}
		run, end := running(arn, start), failed(arn, start, "no")
		run.EventID, run.EmittedAt, run.ReceivedAt = "0f9619ff-8b86-d011-b42d-00c04fc964ff", start.Truncate(time.Second), start
		end.Source = FromReplay
		apply(t, c, end, run, end)
		if _, err := c.Register(t.Context(), Registration{ARN: arn, Owner: "eve"}); !errors.Is(err, ErrOwnerConflict) {
			t.Error(err)
		}
		x, err := c.Explain(t.Context(), arn)
		if err != nil {
			t.Fatal(err)
		}
		want := []Observation{
			{Verdict: Applied, Source: FromRegistration, Version: Unobserved},
			{Verdict: Applied, Source: FromReplay, Version: end.Version()},
			{Verdict: Superseded, Source: FromEvent, Version: run.Version(), EventID: run.EventID, EmittedAt: run.EmittedAt, ReceivedAt: start},
			{Verdict: Superseded, Source: FromReplay, Version: end.Version()},
			{Verdict: conflict, Source: FromRegistration, Version: Unobserved},
		}
		if diff := cmp.Diff(want, x.Trail, cmpopts.IgnoreFields(Observation{}, "AppliedAt"), cmpopts.EquateApproxTime(0)); diff != "" {
			t.Error(diff)
		}
		if x.Record == nil || x.Exact != end.Version() || x.Expiry < 14*24*time.Hour || time.Since(x.Trail[0].AppliedAt) > time.Minute {
			t.Errorf("%+v", x)
		}
	},
	"what came too late is told too": func(t *testing.T, c *Cache) {
		old := succeeded(testARN(t, "too-late"), now().AddDate(-1, 0, 0), `1`)
		if got := apply(t, c, old); got[0] != Expired {
			t.Fatalf("it is %s", got[0])
		}
		x, err := c.Explain(t.Context(), old.ARN)
		if err != nil || x.Record != nil || len(x.Trail) != 1 || x.Trail[0].Verdict != Expired || x.Trail[0].Version != old.Version() {
			t.Errorf("%+v, %v", x, err)
		}
	},
	"a budget paces, and goes slower when AWS throttles": func(t *testing.T, c *Cache) {
		b := c.NewBudget("suite", 2)
		var last time.Time
		for i := range 3 {
			at, _, ok, err := b.book(t.Context())
			if !ok || err != nil || at.Sub(last) < 500*time.Millisecond {
				t.Errorf("call %d at %v, after one at %v, %v, %v", i, at, last, ok, err)
			}
			last = at
		}
		before := c.db.Writers.Time(t.Context()).Val().Truncate(time.Millisecond)
		if wait, err := b.Throttled(t.Context()); err != nil || wait < time.Second {
			t.Errorf("throttled: %v, %v", wait, err)
		}
		if at, _, ok, err := b.book(t.Context()); ok && at.Sub(before) < time.Second || err != nil {
			t.Errorf("throttled at %v, and booked at %v, %v, %v", before, at, ok, err)
		}
		if err := b.Passed(t.Context()); err != nil {
			t.Error(err)
		}
	},
	"a sweep is one process's, and its findings are kept": func(t *testing.T, c *Cache) {
		doubted := testARN(t, "in-doubt")
		machine := doubted.StateMachine()
		s, err := c.ClaimSweep(t.Context(), []string{machine}, time.Hour)
		if err != nil || s == nil || s.Machine != machine || !s.Before.Swept.IsZero() {
			t.Fatalf("%+v, %v", s, err)
		}
		if other, err := c.ClaimSweep(t.Context(), []string{machine}, time.Hour); other != nil || err != nil {
			t.Errorf("claimed twice: %v, %v", other, err)
		}
		fine := now().Add(-time.Minute)
		doubt := Doubt{Noted: s.Begun, Until: fine, Listed: running(doubted, fine).versionOf()}
		s.Doubts[doubted] = doubt
		found := Audited{Swept: s.Begun, ConfirmedUntil: fine, Doubts: 1}
		if err := c.EndSweep(t.Context(), s, found, 0); err != nil {
			t.Fatal(err)
		}
		if err := c.Doubt(t.Context(), []ARN{doubted}); err != nil {
			t.Fatal(err)
		}
		// What is listed is told to who claims it: of the state machine that is swept.
		due, err := c.Claim(t.Context(), Doubted, 10, time.Hour)
		if err != nil || len(due) != 1 || due[0].ARN != doubted || due[0].Listed != doubt.Listed {
			t.Errorf("claimed %+v, %v", due, err)
		}
		if err := c.Settle(t.Context(), Doubted, doubted); err != nil {
			t.Error(err)
		}
		cachetest.Eventually(t, "the next is due", func() bool {
			next, err := c.ClaimSweep(t.Context(), []string{machine}, time.Hour)
			if err != nil || next == nil {
				return false
			}
			if !next.Before.Swept.Equal(found.Swept) || !next.Before.ConfirmedUntil.Equal(fine) || next.Doubts[doubted].text() != doubt.text() {
				t.Errorf("it knows %+v and doubts %v", next.Before, next.Doubts)
			}
			return true
		})
		cachetest.Eventually(t, "every process knows", func() bool {
			return c.Audits()[machine].ConfirmedUntil.Equal(fine)
		})
	},
	"a checkpoint": func(t *testing.T, c *Cache) {
		for _, place := range []string{"token", "", "another"} {
			if err := c.SaveCheckpoint(t.Context(), "suite", place); err != nil {
				t.Error(err)
			}
			if got, err := c.Checkpoint(t.Context(), "suite"); got != place || err != nil {
				t.Errorf("%q became %q, %v", place, got, err)
			}
		}
	},
	"an owner is erased": func(t *testing.T, c *Cache) {
		mine, other := succeeded(testARN(t, "erased"), now(), `1`), succeeded(testARN(t, "not-erased"), now(), `1`)
		mine.Owner, other.Owner = "erased", "erase"
		apply(t, c, mine, other)
		var looked, erased int64
		if err := c.Erase(t.Context(), "erased", func(l, e int64) { looked, erased = max(looked, l), max(erased, e) }); err != nil {
			t.Fatal(err)
		}
		if stored(t, c, mine.ARN) != nil || stored(t, c, other.ARN) == nil || erased != 1 || looked < 2 {
			t.Errorf("%d of %d were erased", erased, looked)
		}
		page, err := c.List(t.Context(), Query{Owner: "erased", Limit: 10})
		if err != nil || len(page.Executions) != 0 {
			t.Errorf("listed: %v, %v", page.Executions, err)
		}
	},
}

// TestABudgetIsSharedByAll: however many processes call, two calls are as far apart as
// the rate says.
func TestABudgetIsSharedByAll(t *testing.T) {
	t.Parallel()
	url := cachetest.Redis(t).URL()
	const processes, each, every = 8, 2, 50 * time.Millisecond
	booked := make(chan time.Time, processes*each)
	var all []*Budget
	for range processes {
		all = append(all, openIdle(t, url).NewBudget("shared", float64(time.Second/every)))
	}
	var wg sync.WaitGroup
	for _, b := range all {
		wg.Go(func() {
			for range each {
				at, _, ok, err := b.book(t.Context())
				if !ok || err != nil {
					t.Errorf("%v, %v", ok, err)
				}
				booked <- at
			}
		})
	}
	wg.Wait()
	close(booked)
	var calls []time.Time
	for at := range booked {
		calls = append(calls, at)
	}
	slices.SortFunc(calls, time.Time.Compare)
	for i := range calls[1:] {
		if apart := calls[i+1].Sub(calls[i]); apart < every {
			t.Errorf("calls %d and %d are %v apart", i, i+1, apart)
		}
	}
}

// TestTrailIsBounded: whatever is repeated, a record does not grow, and how it came to
// its state is still told.
func TestTrailIsBounded(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	arn, start := testARN(t, "bounded"), now()
	end := failed(arn, start, "no")
	apply(t, c, running(arn, start), end)
	for i := range 100 {
		again := end
		again.EventID = fmt.Sprintf("00000000-0000-0000-0000-%012x", i+1)
		apply(t, c, again)
	}
	x, err := c.Explain(t.Context(), arn)
	if err != nil || len(x.Trail) != 16 {
		t.Fatalf("%d entries, %v", len(x.Trail), err)
	}
	last := x.Trail[15]
	if x.Trail[0].Verdict != Applied || x.Trail[1].Version != end.Version() || last.EventID != "00000000-0000-0000-0000-000000000064" {
		t.Errorf("first %+v, last %+v", x.Trail[0], last)
	}
	redriven := running(arn, start)
	redriven.RedriveCount = 1
	apply(t, c, redriven)
	if x, err := c.Explain(t.Context(), arn); err != nil || len(x.Trail) != 16 || x.Trail[15].Version != redriven.Version() {
		t.Errorf("after a redrive: %+v, %v", x.Trail, err)
	}
}

// TestOlderFormatIsJoined: what an older release has written is read and joined.
func TestOlderFormatIsJoined(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	arn, start := testARN(t, "older"), now()
	run := running(arn, start)
	if err := c.db.Writers.Set(t.Context(), c.db.Names.Execution(string(arn)), olderRecord(recordOf(&run, "ada", "url")), time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	if got := apply(t, c, run); got[0] != Superseded {
		t.Errorf("the same again: %s", got[0])
	}
	apply(t, c, failed(arn, start, "no"))
	if r := stored(t, c, arn); r.Status != Failed || r.Owner != "ada" || r.InputType != "url" {
		t.Errorf("%s of %q", r.Status, r.Owner)
	}
	if x, err := c.Explain(t.Context(), arn); err != nil || len(x.Trail) != 1 {
		t.Errorf("trail %+v, %v", x.Trail, err)
	}
	newer := []byte("3" + string(recordOf(&run, "", ""))[1:])
	if err := c.db.Writers.Set(t.Context(), c.db.Names.Execution(string(arn)), newer, time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	if o := c.Apply(t.Context(), []Execution{run})[0]; o.Final() {
		t.Errorf("a record of a newer release was overwritten: %s", o.Verdict)
	}
}

// TestSuspiciousRunning: a RUNNING
// that is old and unknown is kept for an hour only and doubted, unless Step Functions
// itself says so.
func TestSuspiciousRunning(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	life := func(arn ARN) time.Duration {
		return c.db.Writers.PTTL(t.Context(), c.db.Names.Execution(string(arn))).Val()
	}
	old := running(testARN(t, "suspicious"), now().Add(-time.Hour))
	fresh := running(testARN(t, "not-suspicious"), now())
	vouched := running(testARN(t, "vouched"), now().Add(-time.Hour))
	vouched.Source = FromDescribe
	apply(t, c, old, fresh, vouched)
	if life(old.ARN) > time.Hour || life(fresh.ARN) < 300*24*time.Hour || life(vouched.ARN) < 300*24*time.Hour {
		t.Errorf("kept for %v, %v and %v", life(old.ARN), life(fresh.ARN), life(vouched.ARN))
	}
	due, err := c.Claim(t.Context(), Doubted, 10, time.Hour)
	if err != nil || len(due) != 1 || due[0].ARN != old.ARN {
		t.Errorf("doubted: %+v, %v", due, err)
	}
	old.Source = FromDescribe
	if got := apply(t, c, old); got[0] != Superseded || life(old.ARN) < 300*24*time.Hour {
		t.Errorf("it runs after all: %s, kept for %v", got[0], life(old.ARN))
	}
}

// TestLossIsNoticed: Redis was emptied, restarted empty, or came back with an old copy.
func TestLossIsNoticed(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*cachetest.Server, *Cache){
		"emptied":         func(s *cachetest.Server, _ *Cache) { s.Do("FLUSHALL") },
		"restarted empty": func(s *cachetest.Server, _ *Cache) { s.Kill(); s.Start() },
		"an old copy": func(_ *cachetest.Server, c *Cache) {
			key := c.db.Names.Partitions[0].Born
			born := c.db.Writers.HGet(t.Context(), key, "id").Val()
			if err := c.db.Writers.HSet(t.Context(), key, "id", born, "beats", 1).Err(); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cachetest.Redis(t)
			c, other := openTest(t, s.URL()), openTest(t, s.URL())
			cachetest.Eventually(t, "it is known that time went by", func() bool {
				beats, err := c.db.Writers.HGet(t.Context(), c.db.Names.Partitions[0].Born, "beats").Int()
				return err == nil && beats > 2*(beatsKept+1)
			})
			if c.Lost() != nil {
				t.Fatalf("nothing was lost, and it says %+v", c.Lost())
			}
			lose(s, c)
			cachetest.Eventually(t, "every process says so, and Redis has it", func() bool {
				return c.Lost() != nil && other.Lost() != nil && c.db.Writers.Exists(t.Context(), c.db.Names.Lost).Val() == 1
			})
			if !c.Learning(now().Add(-time.Minute)) {
				t.Error("what was swept before counts")
			}
			at := c.Lost().At
			for _, tooLittle := range [][2]time.Time{{at.Add(-2 * time.Hour), at.Add(-time.Second)}, {at.Add(-time.Minute), at.Add(time.Second)}} {
				if err := c.Backfilled(t.Context(), tooLittle[0], tooLittle[1]); err != nil {
					t.Error(err)
				}
				if n := c.db.Writers.Exists(t.Context(), c.db.Names.Lost).Val(); n != 1 {
					t.Errorf("what began from %v to %v ends a loss at %v", tooLittle[0], tooLittle[1], at)
				}
			}
			cachetest.Eventually(t, "it is over when all is learnt again", func() bool {
				return c.Backfilled(t.Context(), at.Add(-2*time.Hour), time.Now()) == nil && c.Lost() == nil && other.Lost() == nil
			})
		})
	}
}

// TestLossIsToldInTheEnd: a loss that cannot be told to the others when it is noticed
// is told when it can.
func TestLossIsToldInTheEnd(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	if err := c.lifeline.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.db.Writers.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.db.Writers.Set(t.Context(), c.db.Names.Lost, "not a hash", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.lifeline.look(t.Context()); err == nil || c.Lost() == nil {
		t.Fatalf("look: %v, lost: %v; want an error and a loss", err, c.Lost())
	}
	if err := c.db.Writers.Del(t.Context(), c.db.Names.Lost).Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.lifeline.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := c.db.Writers.Exists(t.Context(), c.db.Names.Lost).Val(); n != 1 || c.Lost() == nil {
		t.Errorf("the loss is forgotten: told to others %v, known here: %v", n == 1, c.Lost())
	}
}
