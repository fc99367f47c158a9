package diagnose

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"statuscache/cache"
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
		e := running(name, old)
		apply(t, c, e)
	}
	owned := running("owned", old)
	owned.Owner = "ada"
	apply(t, c, owned)
	for _, name := range []string{"silent", "heard"} {
		if _, err := c.Register(t.Context(), cache.Registration{ARN: machine + cache.ARN(name), Owner: "ada", StartDate: old}); err != nil {
			t.Fatal(err)
		}
	}
	apply(t, c, running("heard", old))

	if s, err := TakeCensus(t.Context(), c, time.Hour/2); err != nil || s.Silent != 0 || s.Looked != 0 {
		t.Errorf("known only just now: %+v, %v", s, err)
	}
	for _, name := range []string{"a", "b", "c", "d", "owned", "silent", "heard"} { // an hour passes
		setSeen(t, c, machine+name, old)
	}
	s, err := TakeCensus(t.Context(), c, time.Hour/2)
	if err != nil || s.Silent != 1 || s.SilentExample != machine+"silent" || s.Ownerless < 3 || s.Looked != s.Ownerless+2 || !s.MostAreOwnerless() {
		t.Errorf("%+v, %v", s, err)
	}
	if s.OwnerlessExample == "" || strings.HasSuffix(string(s.OwnerlessExample), "owned") || strings.HasSuffix(string(s.OwnerlessExample), ":heard") {
		t.Errorf("example %s", s.OwnerlessExample)
	}
	for name, observed := range map[cache.ARN]bool{"silent": false, "heard": true} {
		r, err := c.Get(t.Context(), machine+name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(r.Summary()), `"observed":false`) == observed {
			t.Errorf("listed as %s", r.Summary())
		}
	}
}

func TestTooFewExecutionsForAFindingAboutOwners(t *testing.T) {
	t.Parallel()
	for s, want := range map[Census]bool{{}: false, {Looked: 2, Ownerless: 2}: false, {Looked: 4, Ownerless: 2}: false, {Looked: 4, Ownerless: 3}: true} {
		if s.MostAreOwnerless() != want {
			t.Errorf("%+v: %v", s, !want)
		}
	}
}

// setSeen changes when an execution was first heard of. Its record is compact.
func setSeen(t *testing.T, c *cache.Cache, arn string, at time.Time) {
	t.Helper()
	const seenAt = 25 // cache/internal/record/layout.go
	ms := binary.BigEndian.AppendUint64(nil, uint64(at.UnixMilli()))
	if err := c.DB().Writers.SetRange(t.Context(), c.DB().Names.Execution(arn), seenAt, string(ms[2:])).Err(); err != nil {
		t.Fatal(err)
	}
}
