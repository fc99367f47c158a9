package cache

import (
	"strings"
	"testing"
	"time"

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

	if s, err := TakeCensus(t.Context(), c, time.Hour/2); err != nil || s.Unheard != 0 || s.Looked != 0 {
		t.Errorf("first heard of just now: %+v, %v", s, err)
	}
	for _, name := range []string{"a", "b", "c", "d", "owned", "unheard", "told"} { // an hour passes
		key := c.db.Names.Execution(string(testARN(t, name)))
		if err := c.db.Writers.SetRange(t.Context(), key, 54, score(old)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	s, err := TakeCensus(t.Context(), c, time.Hour/2)
	if err != nil || s.Unheard != 1 || s.UnheardExample != testARN(t, "unheard") || s.Ownerless < 3 || s.Looked != s.Ownerless+2 || !s.MostAreOwnerless() {
		t.Errorf("%+v, %v", s, err)
	}
	if s.OwnerlessExample == "" || strings.HasSuffix(string(s.OwnerlessExample), "owned") || strings.HasSuffix(string(s.OwnerlessExample), "told") {
		t.Errorf("example %s", s.OwnerlessExample)
	}
	if r := stored(t, c, testARN(t, "unheard")); !strings.HasSuffix(string(r.Summary()), `"observed":false}`) {
		t.Errorf("listed as %s", r.Summary())
	}
	if r := stored(t, c, testARN(t, "told")); strings.Contains(string(r.Summary()), "observed") {
		t.Errorf("listed as %s", r.Summary())
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
