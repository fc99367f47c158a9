package diagnose

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// TestOwnersAreCheckedUnderLoad: however many executions have begun within the minute, the
// check of owners looks at older ones. Without any it says that it did not check.
func TestOwnersAreCheckedUnderLoad(t *testing.T) {
	t.Parallel()
	redis := miniredis.RunT(t)
	c := openIdle(t, "redis://"+redis.Addr())
	start := func(name string, n int, at time.Time) {
		redis.SetTime(at)
		for i := range n {
			apply(t, c, running(fmt.Sprint(name, i), at))
		}
	}
	begin := now()
	start("old-", 10, begin)
	f := diagnoseOwners(t.Context(), c, true)
	if f.OK() || !f.Unchecked() || f.Failed() || !strings.Contains(f.Detail, "not checked, because") {
		t.Errorf("nothing is old enough: %+v", f)
	}
	start("new-", 1000, begin.Add(2*time.Minute)) // far more than the newest two of each partition
	if f := diagnoseOwners(t.Context(), c, true); !strings.HasPrefix(f.Problem, "10 of the 10 newest executions have no owner") {
		t.Errorf("with 1000 in the last minute: %+v", f)
	}
}
