package stats

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"statuscache/cache"
	"statuscache/cache/internal/indexes"
)

// TestAnExecutionThatRunsTooLongIsOverdue: longer than 99 of 100 runs that succeeded took, and never
// by fewer than 100 of these. What has no record any more is not counted and leaves the
// index.
func TestAnExecutionThatRunsTooLongIsOverdue(t *testing.T) {
	t.Parallel()
	c, s := openRedis(t)
	const took = 30 * time.Minute // what is fresh must not become overdue while the test runs
	start := now().Add(-time.Hour)
	for i := range enoughRuns {
		apply(t, c, succeeded(execution(machineA, fmt.Sprint("a", i)), start, took, 0))
		if i > 0 {
			apply(t, c, succeeded(execution(machineB, fmt.Sprint("b", i)), start, took, 0))
		}
	}
	for name, age := range map[string]time.Duration{"late": took + 2*time.Minute, "later": 2 * time.Hour, "fresh": 30 * time.Second} {
		for _, machine := range []string{machineA, machineB} {
			e := vouched(execution(machine, name), now().Add(-age))
			e.Owner = name
			apply(t, c, e)
		}
	}
	lost := execution(machineA, "lost")
	apply(t, c, vouched(lost, start))
	partition := c.DB().Names.Partition(string(lost))
	if err := c.DB().Writers.Del(t.Context(), partition.Executions+string(lost)).Err(); err != nil {
		t.Fatal(err)
	}
	refresh(t, s)
	for scope, want := range map[Scope]int64{{All: true}: 2, {Owner: "late"}: 1, {Owner: "fresh"}: 0} {
		got, err := s.Overdue(t.Context(), scope)
		if err != nil || got.AtLeast || got.ByMachine[machineA] != want || got.ByMachine[machineB] != 0 {
			t.Errorf("%+v: %+v, %v; want %d", scope, got, err, want)
		}
	}
	members, err := c.DB().Writers.ZRange(t.Context(), partition.Running, 0, -1).Result()
	if err != nil {
		t.Fatal(err)
	}
	if arns, err := indexes.Members(t.Context(), c.DB(), members); err != nil || slices.Contains(arns, lost) {
		t.Error("what has no record is still in the index")
	}
	refresh(t, s)
	machines, err := s.Machines(t.Context(), Scope{All: true})
	if err != nil || len(machines) != 2 || machines[0].Running != 3 || machines[1].Running != 3 {
		t.Errorf("%+v, %v", machines, err)
	}
}

func vouched(arn cache.ARN, start time.Time) cache.Execution {
	e := begun(arn, start, 0)
	e.Source = cache.FromDescribe // so that it is kept although it is old
	return e
}
