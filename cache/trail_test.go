package cache

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"statuscache/cache/cachetest"
)

// truthSuite is the part of the store suite that is about what is known of the
// knowledge itself.
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
	"what came too late is reported too": func(t *testing.T, c *Cache) {
		old := succeeded(testARN(t, "too-late"), now().AddDate(-1, 0, 0), `1`)
		if got := apply(t, c, old); got[0] != Expired {
			t.Fatalf("it is %s", got[0])
		}
		x, err := c.Explain(t.Context(), old.ARN)
		if err != nil || x.Record != nil || len(x.Trail) != 1 || x.Trail[0].Verdict != Expired || x.Trail[0].Version != old.Version() {
			t.Errorf("%+v, %v", x, err)
		}
	},
	"versions are reported as they are stored": func(t *testing.T, c *Cache) {
		start := now()
		one, other, none := testARN(t, "versions-1"), testARN(t, "versions-2"), testARN(t, "versions-0")
		apply(t, c, awaiting(one, start), failed(other, start, "no"))
		got, err := c.Versions(t.Context(), []ARN{one, none, other})
		want := []Version{versionOf(awaiting(one, start)), "", versionOf(failed(other, start, "no"))}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
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
		owned, err := c.Owned(t.Context(), "erased", nil)
		if n := c.db.Readers.Exists(t.Context(), c.db.Names.Owner("erased")).Val(); err != nil || len(owned) != 0 || n != 0 {
			t.Errorf("of the owner are left %v, %v; %d indexes", owned, err, n)
		}
	},
}

// TestTrailIsBounded: whatever is repeated, a record does not grow, and how it came to
// its state is still reported.
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
	newer := []byte("5" + string(recordOf(&run, "", ""))[1:])
	if err := c.db.Writers.Set(t.Context(), c.db.Names.Execution(string(arn)), newer, time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	if o := c.Apply(t.Context(), []Execution{run})[0]; o.Final() {
		t.Errorf("a record of a newer release was overwritten: %s", o.Verdict)
	}
}

// TestSuspiciousRunning: a RUNNING that is old and unknown is kept for an hour only, and
// Step Functions is to be asked about it, unless Step Functions itself says so.
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
	for arn, want := range map[ARN]bool{old.ARN: true, fresh.ARN: false, vouched.ARN: false} {
		listed := c.db.Writers.ZScore(t.Context(), c.db.Names.Partition(string(arn)).Mismatched, string(arn)).Err() == nil
		if listed != want {
			t.Errorf("Step Functions is to be asked about %s: %v", arn, listed)
		}
	}
	old.Source = FromDescribe
	if got := apply(t, c, old); got[0] != Superseded || life(old.ARN) < 300*24*time.Hour {
		t.Errorf("it runs after all: %s, kept for %v", got[0], life(old.ARN))
	}
}
