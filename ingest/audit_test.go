package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"statuscache/cache"
	"statuscache/cache/worklist"
)

const auditedMachine = "arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline"

// listing is a Step Functions with a fixed list, and a cache to compare.
type listing struct {
	*memory
	listed     []cache.Execution // the latest start first
	incomplete bool
	audited    worklist.Audited
	mismatches map[cache.ARN]worklist.Mismatch
	next       time.Time
	orphans    []cache.ARN
	worklists  int
	failure    error
}

func (l *listing) List(_ context.Context, q ListQuery, _ Reason) (page ListPage, _ error) {
	l.worklists++
	if l.failure != nil {
		return page, l.failure
	}
	const size = 2
	var all []cache.Execution
	for _, e := range l.listed {
		if (q.Status == "" || e.Status == q.Status) && (!q.Redriven || e.RedriveCount > 0) {
			all = append(all, e)
		}
	}
	first := 0
	if q.After != "" {
		_, _ = fmt.Sscan(q.After, &first)
	}
	last := min(first+size, len(all))
	page.Executions = all[first:last]
	if last < len(all) {
		page.Next = fmt.Sprint(last)
	}
	return page, nil
}

func (l *listing) Versions(_ context.Context, arns []cache.ARN) ([]cache.Version, error) {
	all := make([]cache.Version, len(arns))
	for i, arn := range arns {
		if r := l.known[arn]; r != nil {
			all[i] = r.exact
		}
	}
	return all, nil
}

func (l *listing) Running(_ context.Context, _ string, f func([]cache.ARN, []time.Time) error) error {
	var arns []cache.ARN
	var started []time.Time
	for arn, r := range l.known {
		if !r.record.Terminal {
			arns, started = append(arns, arn), append(started, r.record.StartDate)
		}
	}
	return f(arns, started)
}

func (l *listing) AddMismatches(_ context.Context, arns []cache.ARN) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, arn := range arns {
		if _, there := l.due[arn]; !there {
			l.due[arn] = l.clock()
		}
	}
	return nil
}

func (l *listing) DropOrphans(_ context.Context, arns []cache.ARN) {
	l.orphans = append(l.orphans, arns...)
}

// turns are the sweeps of a listing.
type turns struct{ *listing }

func (l turns) Claim(_ context.Context, machines []string, lease time.Duration) (*worklist.Sweep, error) {
	if l.clock().Before(l.next) {
		return nil, nil
	}
	l.next = l.clock().Add(lease)
	return &worklist.Sweep{Machine: machines[0], Begun: l.clock(), Before: l.audited, Mismatches: l.mismatches}, nil
}

func (l turns) Extend(_ context.Context, _ string, d time.Duration) error {
	l.next = l.clock().Add(d)
	return nil
}

func (l turns) End(_ context.Context, s *worklist.Sweep, now worklist.Audited, d time.Duration) error {
	l.audited, l.mismatches, l.next = now, s.Mismatches, s.Begun.Add(d)
	return nil
}

func (l turns) Fail(_ context.Context, _ *worklist.Sweep, problem string, d time.Duration) error {
	l.audited.Problem, l.next = problem, l.clock().Add(d)
	return nil
}

func execution(name string, status cache.Status, start time.Time, redrives int) cache.Execution {
	e := cache.Execution{
		ARN: cache.ARN("arn:aws:states:eu-west-1:123456789012:execution:Pipeline:" + name), Status: status,
		StartDate: start, RedriveCount: redrives, Completeness: cache.Complete, Source: cache.FromDescribe,
	}
	if status != cache.Running {
		e.StopDate = start.Add(time.Second)
	}
	return e
}

// auditing runs an audit of a listing for a while. What is described is what is
// listed.
func auditing(t *testing.T, l *listing, d time.Duration) *answersByARN {
	t.Helper()
	states := &answersByARN{l: l}
	a := NewAuditor(AuditorOptions{
		Cache: l, Worklists: l, Mismatches: l, Known: l, Sweeps: turns{l}, Running: l.Running, States: states, Lister: l, Describes: &freely{}, Listings: &freely{},
		Incomplete: func(time.Time) bool { return l.incomplete }, Machines: []string{auditedMachine}, Every: time.Minute, Retention: auditedRetention, Log: slog.New(slog.DiscardHandler),
	})
	runFor(t, a.Run, d)
	return states
}

type answersByARN struct {
	l         *listing
	described []cache.ARN
}

func (a *answersByARN) Describe(_ context.Context, arn cache.ARN, _ Reason) (cache.Execution, error) {
	a.described = append(a.described, arn)
	for _, e := range a.l.listed {
		if e.ARN == arn {
			return e, nil
		}
	}
	return cache.Execution{}, fmt.Errorf("%w (ExecutionDoesNotExist)", ErrUnknown)
}

// TestAuditFinds: each kind of difference is seen in two sweeps before it is asked
// about, and then it is gone.
func TestAuditFinds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		known, truth func(start time.Time) cache.Execution
		none         bool // nothing is known
		described    bool
	}{
		"an end that was lost":         {known: is("x", cache.Running, 0), truth: is("x", cache.Failed, 0), described: true},
		"an old end that was lost":     {known: is("old", cache.Running, 0), truth: is("old", cache.Succeeded, 0), described: true},
		"an unknown running execution": {none: true, truth: is("x", cache.Running, 0), described: true},
		"an unknown ended execution":   {none: true, truth: is("x", cache.Succeeded, 0), described: true},
		"a redrive that runs":          {known: is("old", cache.Failed, 0), truth: is("old", cache.Running, 1), described: true},
		"a redrive that ended":         {known: is("old", cache.Failed, 0), truth: is("old", cache.Succeeded, 1), described: true},
		"what is as it should be":      {known: is("x", cache.Succeeded, 0), truth: is("x", cache.Succeeded, 0)},
		"what runs as it should":       {known: is("x", cache.Running, 0), truth: is("x", cache.Running, 0)},
		"Step Functions behind an end": {known: is("x", cache.Succeeded, 0), truth: is("x", cache.Running, 0)},
		"behind a redrive":             {known: is("old", cache.Running, 1), truth: is("old", cache.Running, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				l := &listing{memory: newMemory()}
				if !test.none {
					l.Apply(t.Context(), []cache.Execution{test.known(start)})
				}
				l.audited = worklist.Audited{Swept: start.Add(-time.Minute), ConfirmedUntil: start.Add(-time.Minute)}
				l.listed = []cache.Execution{execution("other-1", cache.Running, start, 0), test.truth(start), execution("other-2", cache.Running, start.Add(-time.Hour), 0)}
				slices.SortFunc(l.listed, func(a, b cache.Execution) int { return b.StartDate.Compare(a.StartDate) })
				l.Apply(t.Context(), []cache.Execution{execution("other-1", cache.Running, start, 0), execution("other-2", cache.Running, start.Add(-time.Hour), 0)})
				arn := test.truth(start).ARN
				if states := auditing(t, l, 30*time.Second); len(states.described) > 0 {
					t.Errorf("described after one sweep: %v", states.described)
				}
				if _, mismatched := l.mismatches[arn]; mismatched != test.described || mismatched != l.audited.ConfirmedUntil.Before(start.Add(-listingLag)) {
					t.Errorf("mismatches: %v, confirmed until %v", l.mismatches, l.audited.ConfirmedUntil)
				}
				states := auditing(t, l, 3*time.Minute)
				if got := slices.Contains(states.described, arn); got != test.described || len(states.described) > 1 {
					t.Errorf("described %v", states.described)
				}
				truth := test.truth(start)
				if want := truth.Version(); test.described && l.known[arn].exact != want {
					t.Errorf("known is %s, want %s", l.known[arn].exact, want)
				}
				if len(l.mismatches) > 0 || l.audited.ConfirmedUntil.Before(start) {
					t.Errorf("in the end %v are mismatches, confirmed until %v", l.mismatches, l.audited.ConfirmedUntil)
				}
			})
		})
	}
}

// is makes an execution that began in the last minute, or days ago.
func is(name string, status cache.Status, redrives int) func(time.Time) cache.Execution {
	return func(now time.Time) cache.Execution {
		start := now.Add(-20 * time.Second)
		if name == "old" {
			start = now.Add(-72 * time.Hour)
		}
		return execution(name, status, start, redrives)
	}
}

// TestOrphans: what Step Functions does not know is removed, unless it may be about to
// start.
func TestOrphans(t *testing.T) {
	t.Parallel()
	for _, ahead := range clocksOff {
		synctest.Test(t, func(t *testing.T) {
			l := &listing{memory: newMemory()}
			l.ahead = ahead
			start := l.clock()
			l.audited.Swept = start
			old := execution("orphan", cache.Running, start.Add(-time.Minute), 0)
			l.Apply(t.Context(), []cache.Execution{old})
			auditing(t, l, 5*time.Minute)
			if l.known[old.ARN] == nil {
				t.Fatalf("%v: removed minutes after it started", ahead)
			}
			states := auditing(t, l, 20*time.Minute)
			if l.known[old.ARN] != nil {
				t.Errorf("%v: still there, described %d times", ahead, len(states.described))
			}
		})
	}
}

// clocksOff are how far the clock of a process may be ahead of that of Redis, which
// decides.
var clocksOff = []time.Duration{0, 20 * time.Minute, -20 * time.Minute}

// TestBackfillByTheClockOfRedis: what is kept still is learnt, and nothing else, however
// wrong the clock of the process is.
func TestBackfillByTheClockOfRedis(t *testing.T) {
	t.Parallel()
	for _, ahead := range clocksOff {
		synctest.Test(t, func(t *testing.T) {
			l := &listing{memory: newMemory()}
			l.ahead = ahead
			end := l.clock().Add(-auditedRetention)
			kept := execution("kept", cache.Succeeded, end.Add(10*time.Minute), 0)
			l.listed = []cache.Execution{kept, execution("expired", cache.Failed, end.Add(-10*time.Minute), 0)}
			b := &Backfill{
				Cache: l, Known: l, Clock: l, States: &answersByARN{l: l}, Lister: l, Describes: &freely{}, Listings: &freely{},
				Machine: auditedMachine, Since: end.Add(-time.Hour), Until: l.clock(), Retention: auditedRetention,
			}
			done, err := b.Run(t.Context(), func(BackfillProgress) {})
			if err != nil || done.Added != 1 || done.Expired != 1 || l.known[kept.ARN] == nil {
				t.Errorf("%v: %+v, %v", ahead, done, err)
			}
		})
	}
}

// TestAfterALossTheAuditTrustsTheList: where records were lost, what is listed is believed at once, and what
// has ended is described at once.
func TestAfterALossTheAuditTrustsTheList(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		l := &listing{memory: newMemory(), incomplete: true}
		for i := range 7 {
			l.listed = append(l.listed, execution(fmt.Sprint("runs-", i), cache.Running, start.Add(-time.Minute), 0))
		}
		ended := execution("ended", cache.Failed, start.Add(-2*time.Minute), 0)
		for i := range 4 { // the first is on a page that is looked at, too
			l.listed = append(l.listed, execution(fmt.Sprint("too-old-", i), cache.Failed, start.Add(-time.Hour), 0))
		}
		l.listed = slices.Insert(l.listed, 7, ended)
		states := auditing(t, l, 20*time.Second)
		if len(l.known) != 8 || len(states.described) != 1 || states.described[0] != ended.ARN {
			t.Errorf("%d are known, described %v", len(l.known), states.described)
		}
	})
}

// TestAuditWithoutAnswers: where Step Functions does not list, nothing is confirmed, and
// it is not asked all the time.
func TestAuditWithoutAnswers(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]error{"denied": ErrDenied, "throttled": ErrThrottled, "broken": errors.New("broken")} {
		synctest.Test(t, func(t *testing.T) {
			l := &listing{memory: newMemory(), failure: failure}
			auditing(t, l, 10*time.Minute)
			if lasts := name == "denied"; lasts != (l.audited.Problem != "") {
				t.Errorf("%s: the problem is %q", name, l.audited.Problem)
			}
			most := 12
			if name == "throttled" { // its budget continues at a call in two seconds, with pauses
				most = 250
			}
			if !l.audited.ConfirmedUntil.IsZero() || l.worklists > most || l.worklists < 2 {
				t.Errorf("%s: confirmed until %v after %d calls", name, l.audited.ConfirmedUntil, l.worklists)
			}
		})
	}
}
