package cache

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"statuscache/cache/cachetest"
)

// TestCensus counts executions that nobody may read, and registrations that nothing
// was heard of. The clock is that of Redis, so both are asked for at once: after no
// time at all.
func TestCensus(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "redis-server")
	c := openIdle(t, cachetest.Redis(t).URL())
	old := now().Add(-time.Hour)
	for _, name := range []string{"a", "b", "c", "d"} {
		e := running(testARN(t, name), old)
		apply(t, c, e)
	}
	owned := running(testARN(t, "owned"), old)
	owned.Owner = "ada"
	apply(t, c, owned)
	for _, name := range []string{"unheard", "told"} {
		if _, err := c.Register(t.Context(), Registration{ARN: testARN(t, name), Owner: "ada", StartDate: old}); err != nil {
			t.Fatal(err)
		}
	}
	apply(t, c, running(testARN(t, "told"), old))

	if s, err := c.TakeCensus(t.Context(), time.Hour/2); err != nil || s.Unheard != 0 || s.Looked != 0 {
		t.Errorf("first heard of just now: %+v, %v", s, err)
	}
	for _, name := range []string{"a", "b", "c", "d", "owned", "unheard", "told"} { // an hour passes
		key := c.names.execution(testARN(t, name))
		if err := c.writers.SetRange(t.Context(), key, 54, score(old)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	s, err := c.TakeCensus(t.Context(), time.Hour/2)
	if err != nil || s.Unheard != 1 || s.UnheardExample != testARN(t, "unheard") || s.Ownerless < 3 || s.Looked != s.Ownerless+2 || !s.MostAreOwnerless() {
		t.Errorf("%+v, %v", s, err)
	}
	if s.OwnerlessExample == "" || strings.HasSuffix(string(s.OwnerlessExample), "owned") || strings.HasSuffix(string(s.OwnerlessExample), "told") {
		t.Errorf("example %s", s.OwnerlessExample)
	}
	if f := c.diagnoseOwners(t.Context(), true); f.OK() || !strings.Contains(f.Problem, string(s.OwnerlessExample)) || !strings.Contains(f.Cure, "OWNER_PATH") {
		t.Errorf("%+v", f)
	}
	if r := stored(t, c, testARN(t, "unheard")); !strings.HasSuffix(string(r.Summary()), `"observed":false}`) {
		t.Errorf("listed as %s", r.Summary())
	}
	if r := stored(t, c, testARN(t, "told")); strings.Contains(string(r.Summary()), "observed") {
		t.Errorf("listed as %s", r.Summary())
	}
}

// TestOwnersAreCheckedUnderLoad: however many executions have begun within the minute, the
// check of owners looks at older ones. Without any it says that it did not check.
func TestOwnersAreCheckedUnderLoad(t *testing.T) {
	t.Parallel()
	redis := miniredis.RunT(t)
	c := openIdle(t, "redis://"+redis.Addr())
	start := func(name string, n int, at time.Time) {
		redis.SetTime(at)
		for i := range n {
			apply(t, c, running(testARN(t, fmt.Sprint(name, i)), at))
		}
	}
	begin := now()
	start("old-", 10, begin)
	f := c.diagnoseOwners(t.Context(), true)
	if f.OK() || !f.Unchecked() || f.Failed() || !strings.Contains(f.Detail, "not checked, because") {
		t.Errorf("nothing is old enough: %+v", f)
	}
	start("new-", 1000, begin.Add(2*time.Minute)) // far more than the newest two of each partition
	if f := c.diagnoseOwners(t.Context(), true); !strings.HasPrefix(f.Problem, "10 of the 10 newest executions have no owner") {
		t.Errorf("with 1000 in the last minute: %+v", f)
	}
}

func TestFewExecutionsTellNothingOfOwners(t *testing.T) {
	t.Parallel()
	for s, want := range map[Census]bool{{}: false, {Looked: 2, Ownerless: 2}: false, {Looked: 4, Ownerless: 2}: false, {Looked: 4, Ownerless: 3}: true} {
		if s.MostAreOwnerless() != want {
			t.Errorf("%+v: %v", s, !want)
		}
	}
}
