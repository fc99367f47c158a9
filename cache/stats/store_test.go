package stats

import (
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"statuscache/cache"
	"statuscache/cache/cachetest"
	"statuscache/cache/internal/shortname"
	"statuscache/cache/internal/tally"
)

// TestStore: every kind of Redis counts, and answers.
func TestStore(t *testing.T) {
	t.Parallel()
	cachetest.Each(t, func(t *testing.T, r cachetest.Running) {
		c, s := openTest(t, r.URL)
		suite(t, c, s)
	}, cachetest.Single, cachetest.Clustered, cachetest.Watched, cachetest.Mini)
}

func suite(t *testing.T, c *cache.Cache, s *Stats) {
	start := now().Add(-10 * time.Minute)
	var all []cache.Execution
	for i := range 40 {
		arn := execution([]string{machineA, machineB}[i%2], fmt.Sprint("e", i))
		all = append(all, begun(arn, start, 0))
		switch i % 4 {
		case 0:
			all = append(all, succeeded(arn, start, time.Minute, 0))
		case 1:
			all = append(all, failed(arn, start, time.Minute, 0, fmt.Sprint("no ", i)), begun(arn, start, 1), failed(arn, start, 2*time.Minute, 1, "again"))
		case 2:
			all = append(all, failed(arn, start, 3*time.Minute, 0, fmt.Sprint("no ", i)))
		}
	}
	for i := range all {
		all[i].Owner = "ada"
	}
	slices.Reverse(all)
	apply(t, c, all...)
	apply(t, c, all...)
	refresh(t, s)

	ctx, everybody := t.Context(), Scope{All: true}
	machines, err := s.Machines(ctx, everybody)
	if diff := gocmp.Diff([]Machine{{machineA, 0, 10, 10}, {machineB, 10, 0, 20}}, machines); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	f, err := s.Failures(ctx, everybody, time.Hour, "")
	if err != nil || f.Total != 30 || f.Other != 0 || len(f.Groups) != 3 {
		t.Fatalf("%+v, %v", f, err)
	}
	first := f.Groups[0] // of the latest failures
	if first.StateMachine != machineA || first.Error != "Boom" || first.Message != "no #" || first.Count != 10 || len(first.Examples) != 3 ||
		!first.FirstSeen.Equal(start.Add(3*time.Minute)) || !first.LastSeen.Equal(first.FirstSeen) || first.Share != 1.0/3 || len(first.Trend) != 12 {
		t.Errorf("%+v", first)
	}
	for _, example := range first.Examples {
		if arn, err := cache.ParseARN(example); err != nil || arn.StateMachine() != machineA {
			t.Errorf("example %s: %v", example, err)
		}
	}
	minutes, err := s.Minutes(ctx, everybody)
	var sum Minute
	for _, m := range minutes {
		sum.Started, sum.Succeeded, sum.Failed = sum.Started+m.Started, sum.Succeeded+m.Succeeded, sum.Failed+m.Failed
	}
	if err != nil || len(minutes) != minutesShown || sum != (Minute{Started: 40, Succeeded: 10, Failed: 30}) {
		t.Errorf("%d minutes with %+v, %v", len(minutes), sum, err)
	}
	if own, err := s.Machines(ctx, Scope{Owner: "ada"}); err != nil || len(own) != 2 || own[1].Running != 10 || own[1].Failed != 10 {
		t.Errorf("her own: %+v, %v", own, err) // of her executions the present attempts are known
	}

	if err := c.DB().EachPrimary(ctx, flushed); err != nil {
		t.Fatal(err)
	}
	refresh(t, s)
	if f, err := s.Failures(ctx, everybody, time.Hour, ""); err != nil || f.Total != 0 {
		t.Errorf("Redis is empty, and there are failures: %+v, %v", f, err)
	}
	if d, err := s.Durations(ctx, everybody, ""); err != nil || len(d) != 0 {
		t.Errorf("Redis is empty, and there are durations: %+v, %v", d, err)
	}
}

// TestAnOwnerSeesNothingOfOthers: not in any answer, not even as a number.
func TestAnOwnerSeesNothingOfOthers(t *testing.T) {
	t.Parallel()
	c, s := openRedis(t)
	start := now().Add(-10 * time.Minute)
	of := func(owner string, all ...cache.Execution) {
		for i := range all {
			all[i].Owner = owner
		}
		apply(t, c, all...)
	}
	mine := execution(machineA, "mine")
	long := failed(mine, start, time.Minute, 0, "the order "+fmt.Sprintf("%01000d", 7)+" is bad")
	of("ada", begun(mine, start, 0), long, succeeded(execution(machineA, "good"), start, time.Minute, 0))
	of("bob", failed(execution(machineA, "his"), start, time.Minute, 0, "secret"), succeeded(execution(machineB, "his"), start, time.Minute, 0))
	of("", failed(execution(machineA, "nobody's"), start, time.Minute, 0, "unowned"))
	refresh(t, s)

	ctx, ada := t.Context(), Scope{Owner: "ada"}
	f, err := s.Failures(ctx, ada, 7*day, "")
	if err != nil || f.Total != 1 || len(f.Groups) != 1 || f.Groups[0].Message != "the order # is bad" || !slices.Equal(f.Groups[0].Examples, []string{string(mine)}) {
		t.Errorf("failures %+v, %v", f, err)
	}
	if d, err := s.Durations(ctx, ada, ""); err != nil || len(d) != 1 || d[0].StateMachine != machineA || d[0].All.Count != 1 {
		t.Errorf("durations %+v, %v", d, err)
	}
	machines, err := s.Machines(ctx, ada)
	if diff := gocmp.Diff([]Machine{{machineA, 0, 1, 1}}, machines); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	minutes, err := s.Minutes(ctx, Scope{})
	for _, m := range minutes {
		if m.Started+m.Succeeded+m.Failed > 0 {
			t.Errorf("of nobody: %+v", m)
		}
	}
	if err != nil {
		t.Error(err)
	}
}

// TestRunningExecutionsAreRecounted: an older release changes the running index and does not
// count, and records expire.
func TestRunningExecutionsAreRecounted(t *testing.T) {
	t.Parallel()
	c, s := openRedis(t)
	start := now()
	for i := range 50 {
		arn := execution(machineA+[]string{"", "/Map"}[i%2], fmt.Sprint("e", i))
		apply(t, c, begun(arn, start, 0))
		if i < 20 { // nothing is counted
			if err := c.DB().Writers.ZRem(t.Context(), c.DB().Names.Partition(string(arn)).Running, shortname.Short(string(arn), tally.MachineOf(arn.StateMachine()))).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	running := func() (sum int64) {
		refresh(t, s)
		all, err := s.Machines(t.Context(), Scope{All: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range all {
			sum += m.Running
		}
		return sum
	}
	if n := running(); n != 50 {
		t.Fatalf("%d were counted", n)
	}
	for range 2 {
		if err := tally.RecountRunning(t.Context(), c.DB(), time.Hour); err != nil {
			t.Fatal(err)
		}
		if n := running(); n != 30 {
			t.Errorf("%d run, 30 are in the index", n)
		}
	}
	apply(t, c, succeeded(execution(machineA, "e20"), start, time.Second, 0))
	if n := running(); n != 29 {
		t.Errorf("%d run, one has ended", n)
	}
}

// TestGroupsAreBounded: of each state machine and hour so many are kept, and the rest is
// counted without a cause.
func TestGroupsAreBounded(t *testing.T) {
	t.Parallel()
	c, s := openRedis(t)
	start := now().Add(-time.Hour)
	var all []cache.Execution
	const failures = 2 * tally.MaxGroups
	for i := range failures {
		why := string([]rune{'a' + rune(i%26), 'a' + rune(i/26), 'x'})
		all = append(all, failed(execution(machineA, fmt.Sprint("e", i)), start, time.Second, 0, why))
	}
	apply(t, c, all...)
	refresh(t, s)
	f, err := s.Failures(t.Context(), Scope{All: true}, day, machineA)
	if err != nil || f.Total != failures || len(f.Groups) != tally.MaxGroups || f.Other != failures-tally.MaxGroups {
		t.Errorf("%d groups, %d of %d beyond, %v", len(f.Groups), f.Other, f.Total, err)
	}
	if _, err := s.Failures(t.Context(), Scope{All: true}, time.Minute, ""); err == nil {
		t.Error("a window of a minute is taken")
	}
}
