package questions

import (
	"net/url"
	"testing"
	"time"

	"statuscache/cache"
)

// TestPopulation: what is seeded is what Step Functions could report, and some of every kind.
func TestPopulation(t *testing.T) {
	t.Parallel()
	p := &Population{Records: 40_000, Machines: 20, Owners: 50, Until: time.Now()}
	seen := map[cache.Status]int{}
	machines, owners := map[string]bool{}, map[string]bool{}
	for i := range p.Records {
		e := p.execution(i)
		if _, err := cache.ParseARN(string(e.ARN)); err != nil || e.ARN != p.ARN(i) {
			t.Fatalf("%s: %v", e.ARN, err)
		}
		if e.StartDate.After(time.Now()) || e.Terminal() && (e.StopDate.Before(e.StartDate) || e.StopDate.After(p.Until)) || time.Since(e.StartDate) > span+time.Hour {
			t.Fatalf("%d runs from %v to %v", i, e.StartDate, e.StopDate)
		}
		seen[e.Status]++
		machines[e.ARN.StateMachine()], owners[e.Owner] = true, true
	}
	if len(machines) != p.Machines || len(owners) != p.Owners || seen[cache.Running] != p.Records/oneInRuns ||
		seen[cache.Failed] < p.Records/20 || seen[cache.Succeeded] < p.Records/2 {
		t.Errorf("%d state machines, %d owners, %v", len(machines), len(owners), seen)
	}
}

// TestTargets: every question has a path and a query that a server can read.
func TestTargets(t *testing.T) {
	t.Parallel()
	p := &Population{Records: 40_000, Machines: 20, Owners: 50, Until: time.Now()}
	for _, q := range questions {
		for n := range 30 {
			u, err := url.ParseRequestURI(q.target(p, n))
			if err != nil {
				t.Fatalf("%s: %v", q.what, err)
			}
			if _, err := url.ParseQuery(u.RawQuery); err != nil {
				t.Errorf("%s: %v", q.what, err)
			}
		}
	}
}
