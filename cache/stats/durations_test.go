package stats

import (
	"fmt"
	"math"
	"testing"
	"time"

	"statuscache/cache/internal/tally"
)

// TestDurationsOfSuccessfulRuns are read by hour and in all, and only what is new of them
// is read again.
func TestDurationsOfSuccessfulRuns(t *testing.T) {
	t.Parallel()
	c, s := openRedis(t)
	start := now().Add(-3 * time.Hour)
	for round := range 3 {
		for i := range 100 {
			e := succeeded(execution(machineA, fmt.Sprintf("%d-%d", round, i)), start, time.Duration(i+1)*time.Second, 0)
			e.Owner = []string{"ada", "bob"}[i%2]
			apply(t, c, e, e)
		}
		refresh(t, s)
		for scope, count := range map[Scope]int64{{All: true}: 100, {Owner: "bob"}: 50, {Owner: "eve"}: 0} {
			got, err := s.Durations(t.Context(), scope, machineA)
			if err != nil || len(got) != 1 && count > 0 {
				t.Fatalf("%+v: %+v, %v", scope, got, err)
			}
			if count == 0 {
				if len(got) > 0 {
					t.Errorf("of somebody without executions: %+v", got)
				}
				continue
			}
			d := got[0]
			if want := count * int64(round+1); scope.All && (d.All.Count != want || d.StateMachine != machineA) {
				t.Fatalf("%d of %s, want %d", d.All.Count, d.StateMachine, want)
			}
			for what, figures := range map[string][2]float64{
				"p50": {d.All.P50, 50}, "p95": {d.All.P95, 95}, "p99": {d.All.P99, 99}, "max": {d.All.Max, 100},
			} {
				if math.Abs(figures[0]-figures[1]) > figures[1]*tally.Accuracy+1.01 { // an owner has every second
					t.Errorf("%+v: %s is %v", scope, what, figures[0])
				}
			}
			var hours int64
			for _, h := range d.Hours {
				hours += h.Count
			}
			if hours != d.All.Count {
				t.Errorf("%d in hours, %d in all", hours, d.All.Count)
			}
		}
		known, ok := s.Typical(machineA)
		if want := int64(100 * (round + 1)); !ok || known.Count() != want {
			t.Errorf("typical of %d, want %d", known.Count(), want)
		}
	}
	if _, ok := s.Typical("another"); ok {
		t.Error("something is typical of a state machine of which nothing is known")
	}
}
