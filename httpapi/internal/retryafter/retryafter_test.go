package retryafter

import (
	"testing"
	"time"

	"statuscache/cache"
)

const executions = "arn:aws:states:eu-west-1:123456789012:execution:Pipeline:"

// known says that executions of one state machine have taken so long.
func known(times ...time.Duration) func(string) (Ends, bool) {
	return func(stateMachine string) (Ends, bool) {
		return observed(times), len(times) > 0 && stateMachine == "arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline"
	}
}

func narrow(n int) (times []time.Duration) {
	for i := range n {
		times = append(times, 24*time.Second+time.Duration(i)*2*time.Second/time.Duration(n))
	}
	return times
}

// TestRetryAfterFollowsUsualDurations of the state machine, once it has 100 executions, and
// only for a first attempt.
func TestRetryAfterFollowsUsualDurations(t *testing.T) {
	t.Parallel()
	now := time.Now()
	runs := func(arn cache.ARN, age time.Duration, version cache.Version) *cache.Record {
		return &cache.Record{ARN: arn, Version: version, StartDate: now.Add(-age)}
	}
	const first, redriven = "01769414400123-00000-1-2", "01769414400123-00001-1-2"
	enough := NewPaces(known(narrow(100)...))
	for name, test := range map[string]struct {
		paces   *Paces
		arn     cache.ARN
		age     time.Duration
		version cache.Version
		want    string
	}{
		"near the start":        {enough, executions + "x", 0, first, "25"},
		"on the way":            {enough, executions + "x", 10 * time.Second, first, "15"},
		"where most end":        {enough, executions + "x", 25 * time.Second, first, "1"},
		"later than all":        {enough, executions + "x", 100 * time.Second, first, "10"},
		"much later":            {enough, executions + "x", time.Hour, first, "30"},
		"a redrive":             {enough, executions + "x", 0, redriven, "2"},
		"registered only":       {enough, executions + "x", 0, cache.Unobserved, "25"},
		"another state machine": {enough, "arn:aws:states:eu-west-1:123456789012:execution:Other:x", 40 * time.Second, first, "5"},
		"too few":               {NewPaces(known(narrow(99)...)), executions + "x", 20 * time.Second, first, "3"},
		"nothing is known":      {NewPaces(nil), executions + "x", 20 * time.Second, first, "3"},
	} {
		for range 2 { // the second time from memory
			if got := test.paces.After(runs(test.arn, test.age, test.version), now); len(got) != 1 || got[0] != test.want {
				t.Errorf("%s: %v, want %s", name, got, test.want)
			}
		}
	}
}

func TestAPaceIsRenewed(t *testing.T) {
	t.Parallel()
	p, now := NewPaces(known(narrow(100)...)), time.Now()
	at := func(now time.Time) string {
		return p.After(&cache.Record{ARN: executions + "x", Version: "01769414400123-00000-1-2", StartDate: now}, now)[0]
	}
	before := at(now)
	p.typical = known()
	if got := at(now.Add(paceLife - time.Second)); got != before {
		t.Errorf("made again too early: %s", got)
	}
	if got := at(now.Add(paceLife)); got != "2" {
		t.Errorf("after its life: %s", got)
	}
}

func TestTheHotRouteAllocatesNothingForPacing(t *testing.T) {
	p, now := NewPaces(known(narrow(100)...)), time.Now()
	r := &cache.Record{ARN: executions + "x", Version: "01769414400123-00000-1-2", StartDate: now}
	if n := testing.AllocsPerRun(100, func() { p.After(r, now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
