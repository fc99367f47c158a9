package worklist

import (
	"strings"
	"testing"
	"time"

	"statuscache/cache"
	"statuscache/cache/cachetest"
)

// TestStore is the suite that every kind of Redis must pass. What it proves on miniredis
// is only that a laptop can run on that. With the least ACL it passes as a user who may do
// what deploy/redis.acl says, and nothing else.
func TestStore(t *testing.T) {
	t.Parallel()
	all := func(t *testing.T, url string) {
		c := openTest(t, url)
		for name, test := range suite {
			t.Run(name, func(t *testing.T) { test(t, c) })
		}
	}
	cachetest.Each(t, func(t *testing.T, r cachetest.Running) { all(t, r.URL) }, cachetest.Single, cachetest.Watched, cachetest.Mini)
	t.Run("least ACL", func(t *testing.T) {
		t.Parallel()
		cachetest.Each(t, func(t *testing.T, r cachetest.Running) {
			all(t, r.LeastURL(t))
			cachetest.NothingRefused(t, r.Servers...)
		}, cachetest.Single, cachetest.Clustered)
	})
}

var suite = map[string]func(*testing.T, *store){
	"an output is requested once, whoever requests it": testRequest,
	"what is awaited is claimed, postponed and settled": func(t *testing.T, c *store) {
		arn, start := testARN("entry"), now()
		apply(t, c, running(arn, start), awaiting(arn, start))
		due, err := c.worklist.Claim(t.Context(), Awaited, 10, time.Hour)
		if err != nil || len(due) != 1 || due[0].ARN != arn || !due[0].Exact.AwaitsOutput() || due[0].Age < 0 || due[0].Age > time.Minute ||
			!due[0].StopDate.Equal(start.Add(time.Second)) || due[0].Record == nil {
			t.Fatalf("claimed %+v, %v", due, err)
		}
		if again, err := c.worklist.Claim(t.Context(), Awaited, 10, time.Hour); err != nil || len(again) != 0 {
			t.Errorf("claimed again: %+v, %v", again, err)
		}
		if err := c.worklist.Settle(t.Context(), Awaited, arn); err != nil {
			t.Error(err)
		}
		if n, err := c.worklist.Pending(t.Context(), Awaited); n != 1 || err != nil {
			t.Errorf("settled while it is awaited: %d left, %v", n, err)
		}
		apply(t, c, succeeded(arn, start, `1`))
		if n, err := c.worklist.Pending(t.Context(), Awaited); n != 0 || err != nil {
			t.Errorf("%d left, %v", n, err)
		}
	},
	"a mismatch is forgotten if it has not changed": func(t *testing.T, c *store) {
		arn, start := testARN("forgotten"), now()
		apply(t, c, running(arn, start))
		if err := c.worklist.AddMismatches(t.Context(), []cache.ARN{arn, testARN("unknown")}); err != nil {
			t.Fatal(err)
		}
		due, err := c.worklist.Claim(t.Context(), Mismatched, 10, time.Hour)
		if err != nil || len(due) != 2 {
			t.Fatalf("claimed %+v, %v", due, err)
		}
		old := versionOf(running(arn, start))
		apply(t, c, failed(arn, start, "no"))
		if gone, err := c.Forget(t.Context(), arn, old); gone || err != nil {
			t.Errorf("forgotten although it changed: %v, %v", gone, err)
		}
		new := versionOf(failed(arn, start, "no"))
		if gone, err := c.Forget(t.Context(), arn, new); !gone || err != nil || stored(t, c, arn) != nil {
			t.Errorf("not forgotten: %v, %v", gone, err)
		}
		if err := c.worklist.Settle(t.Context(), Mismatched, testARN("unknown")); err != nil {
			t.Error(err)
		}
		if n, err := c.worklist.Pending(t.Context(), Mismatched); n != 0 || err != nil {
			t.Errorf("%d left, %v", n, err)
		}
	},
	"the running executions of a state machine are those of itself": func(t *testing.T, c *store) {
		own, child, ended := testARN("runs"), cache.ARN(strings.TrimSuffix(testMachine, ":")+"/Map:runs"), testARN("runs-not")
		apply(t, c, running(own, now()), running(child, now()), failed(ended, now(), "no"))
		found := map[cache.ARN]bool{}
		if err := c.sweeps.Running(t.Context(), own.StateMachine(), func(arns []cache.ARN, started []time.Time) error {
			for i, arn := range arns {
				found[arn] = time.Since(started[i]) < time.Minute
			}
			return nil
		}); err != nil || !found[own] || found[child] || found[ended] {
			t.Errorf("found %v, %v", found, err)
		}
	},
	"a budget paces, and goes slower when AWS throttles": func(t *testing.T, c *store) {
		b := NewBudget(c.db, "suite", 2)
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
	"a sweep is one process's, and its findings are kept": func(t *testing.T, c *store) {
		mismatched := testARN("mismatched")
		machine := mismatched.StateMachine()
		s, err := c.sweeps.Claim(t.Context(), []string{machine}, time.Hour)
		if err != nil || s == nil || s.Machine != machine || !s.Before.Swept.IsZero() {
			t.Fatalf("%+v, %v", s, err)
		}
		if other, err := c.sweeps.Claim(t.Context(), []string{machine}, time.Hour); other != nil || err != nil {
			t.Errorf("claimed twice: %v, %v", other, err)
		}
		fine := now().Add(-time.Minute)
		mismatch := Mismatch{Noted: s.Begun, Until: fine, Listed: versionOf(running(mismatched, fine))}
		s.Mismatches[mismatched] = mismatch
		found := Audited{Swept: s.Begun, ConfirmedUntil: fine, Mismatches: 1}
		if err := c.sweeps.End(t.Context(), s, found, 0); err != nil {
			t.Fatal(err)
		}
		if err := c.worklist.AddMismatches(t.Context(), []cache.ARN{mismatched}); err != nil {
			t.Fatal(err)
		}
		// Who claims it learns what was listed: of the state machine that is swept.
		due, err := c.worklist.Claim(t.Context(), Mismatched, 10, time.Hour)
		if err != nil || len(due) != 1 || due[0].ARN != mismatched || due[0].Listed != mismatch.Listed {
			t.Errorf("claimed %+v, %v", due, err)
		}
		if err := c.worklist.Settle(t.Context(), Mismatched, mismatched); err != nil {
			t.Error(err)
		}
		cachetest.Eventually(t, "the next is due", func() bool {
			next, err := c.sweeps.Claim(t.Context(), []string{machine}, time.Hour)
			if err != nil || next == nil {
				return false
			}
			if !next.Before.Swept.Equal(found.Swept) || !next.Before.ConfirmedUntil.Equal(fine) || next.Mismatches[mismatched].text() != mismatch.text() {
				t.Errorf("it knows %+v and the mismatches %v", next.Before, next.Mismatches)
			}
			return true
		})
		cachetest.Eventually(t, "every process knows", func() bool {
			return c.sweeps.Audits()[machine].ConfirmedUntil.Equal(fine)
		})
	},
	"a checkpoint": func(t *testing.T, c *store) {
		for _, place := range []string{"token", "", "another"} {
			if err := NewCheckpoints(c.db).Save(t.Context(), "suite", place); err != nil {
				t.Error(err)
			}
			if got, err := NewCheckpoints(c.db).Load(t.Context(), "suite"); got != place || err != nil {
				t.Errorf("%q became %q, %v", place, got, err)
			}
		}
	},
}
