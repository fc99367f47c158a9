package ingest

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"statuscache/cache"
	"statuscache/cache/worklist"
)

// auditWorld is what a comparison sees: what is listed, and what is known.
type auditWorld struct {
	listed     []cache.Execution // the latest start first
	page       int               // executions of a page
	known      map[cache.ARN]cache.Version
	incomplete bool
	mismatched []cache.ARN
}

func (w *auditWorld) List(_ context.Context, q ListQuery, _ Reason) (ListPage, error) {
	var all []cache.Execution
	for _, e := range w.listed {
		if (q.Status == "" || q.Status == e.Status) && (!q.Redriven || e.RedriveCount > 0) && string(e.ARN) > q.After {
			all = append(all, e)
		}
	}
	page := ListPage{Executions: all}
	if len(all) > w.page {
		page = ListPage{Executions: all[:w.page], Next: string(all[w.page-1].ARN)} // ARNs grow with age here
	}
	return page, nil
}

func (w *auditWorld) Versions(_ context.Context, arns []cache.ARN) ([]cache.Version, error) {
	all := make([]cache.Version, len(arns))
	for i, arn := range arns {
		all[i] = w.known[arn]
	}
	return all, nil
}

func (w *auditWorld) Running(context.Context, string, func([]cache.ARN, []time.Time) error) error {
	return nil
}

func (w *auditWorld) AddMismatches(_ context.Context, arns []cache.ARN) error {
	w.mismatched = append(w.mismatched, arns...)
	return nil
}

func (w *auditWorld) Forget(context.Context, cache.ARN, cache.Version) (bool, error) {
	return false, nil
}

func (w *auditWorld) DropOrphans(context.Context, []cache.ARN) {}

func (w *auditWorld) Fail(context.Context, *worklist.Sweep, string, time.Duration) error {
	return nil
}

func (w *auditWorld) Claim(context.Context, []string, time.Duration) (*worklist.Sweep, error) {
	return nil, nil
}
func (w *auditWorld) Extend(context.Context, string, time.Duration) error { return nil }
func (w *auditWorld) End(context.Context, *worklist.Sweep, worklist.Audited, time.Duration) error {
	return nil
}

// unlimited is a budget that grants every call.
type unlimited struct{}

func (unlimited) Take(context.Context) (time.Duration, bool, error) { return 0, true, nil }
func (unlimited) Throttled(context.Context) (time.Duration, error)  { return 2 * time.Second, nil }
func (unlimited) Passed(context.Context) error                      { return nil }

const auditedRetention = 15 * 24 * time.Hour

// sweepOnce compares once, and returns what that amounts to.
func sweepOnce(t *testing.T, w *auditWorld, s *worklist.Sweep) worklist.Audited {
	t.Helper()
	a := NewAuditor(AuditorOptions{
		Cache: newFakeCache(), Known: w, Mismatches: w, Sweeps: w, Running: w.Running, Lister: w, Describes: unlimited{}, Listings: unlimited{},
		Retention: auditedRetention, Incomplete: func(time.Time) bool { return w.incomplete }, Log: slog.New(slog.DiscardHandler),
	})
	x := newComparison(a, s)
	if err := x.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.mismatched = append(w.mismatched, x.again...)
	return x.result()
}

func listedSuccess(t *testing.T, name string, start time.Time) cache.Execution {
	t.Helper()
	arn, err := cache.ParseARN("arn:aws:states:eu-west-1:123456789012:execution:Pipeline:" + name)
	if err != nil {
		t.Fatal(err)
	}
	return cache.Execution{
		ARN: arn, Status: cache.Succeeded, StartDate: start, StopDate: start.Add(time.Second),
		Completeness: cache.Complete, Source: cache.FromDescribe,
	}
}

var sweptAt = time.Date(2026, 2, 10, 12, 0, 0, 0, time.UTC)

// TestAuditLeavesAloneWhatIsNotKept: a page of a list reaches back as far as Step
// Functions remembers, which is longer than records are kept. What has expired here
// would be a mismatch, and described, for ever.
func TestAuditLeavesAloneWhatIsNotKept(t *testing.T) {
	t.Parallel()
	w := &auditWorld{page: 1000, listed: []cache.Execution{
		listedSuccess(t, "a-kept", sweptAt.Add(-auditedRetention+time.Hour)),
		listedSuccess(t, "b-expired", sweptAt.Add(-auditedRetention-time.Hour)),
	}}
	s := &worklist.Sweep{Begun: sweptAt, Before: worklist.Audited{Swept: sweptAt.AddDate(0, 0, -20)}, Mismatches: map[cache.ARN]worklist.Mismatch{}}
	if got := sweepOnce(t, w, s); got.Mismatches != 1 {
		t.Errorf("%d executions differ, want only the one that is to be kept", got.Mismatches)
	}
}

// TestBackfillListsAsFarBackAsItMust: where an old copy was restored, everything
// since the sweep that it remembers may be missing, and not the latest minutes only.
func TestBackfillListsAsFarBackAsItMust(t *testing.T) {
	t.Parallel()
	w := &auditWorld{page: 1, incomplete: true}
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		w.listed = append(w.listed, listedSuccess(t, name, sweptAt.Add(-time.Duration(len(w.listed))*time.Hour)))
	}
	s := &worklist.Sweep{Begun: sweptAt, Before: worklist.Audited{Swept: sweptAt.Add(-4*time.Hour + time.Minute)}, Mismatches: map[cache.ARN]worklist.Mismatch{}}
	sweepOnce(t, w, s)
	if len(w.mismatched) < 5 {
		t.Errorf("%d executions of the time since the latest sweep are asked about, want 5 at least", len(w.mismatched))
	}
}

// TestConfirmedIsNotAheadOfTheListing: an execution that is missed for the first time
// may have been missing in the sweep before, which saw a list that was behind.
func TestConfirmedIsNotAheadOfTheListing(t *testing.T) {
	t.Parallel()
	before := sweptAt.Add(-time.Minute)
	missed := listedSuccess(t, "missed", before.Add(-listingLag/2)) // not listed then
	w := &auditWorld{page: 1000, listed: []cache.Execution{missed}}
	s := &worklist.Sweep{
		Begun: sweptAt, Mismatches: map[cache.ARN]worklist.Mismatch{},
		Before: worklist.Audited{Swept: before, ConfirmedUntil: before.Add(-listingLag)},
	}
	if got := sweepOnce(t, w, s); got.ConfirmedUntil.After(missed.StartDate) {
		t.Errorf("confirmed until %v, though nothing is known of an execution that began at %v", got.ConfirmedUntil, missed.StartDate)
	}
}

// TestAMismatchIsKeptForTheNextAudit: what differed once is asked about in the next sweep, though
// others began since and it is not listed any more.
func TestAMismatchIsKeptForTheNextAudit(t *testing.T) {
	t.Parallel()
	missed := listedSuccess(t, "a-missed", sweptAt.Add(-4*time.Minute))
	w := &auditWorld{page: 1, listed: []cache.Execution{missed}, known: map[cache.ARN]cache.Version{}}
	s := &worklist.Sweep{Begun: sweptAt, Before: worklist.Audited{Swept: sweptAt.Add(-5 * time.Minute)}, Mismatches: map[cache.ARN]worklist.Mismatch{}}
	first := sweepOnce(t, w, s)
	w.listed = nil // beyond the look back of the next
	next := &worklist.Sweep{Begun: sweptAt.Add(5 * time.Minute), Before: first, Mismatches: s.Mismatches}
	if second := sweepOnce(t, w, next); second.Mismatches != 1 || len(w.mismatched) != 1 || !second.ConfirmedUntil.Before(missed.StartDate) {
		t.Errorf("%d mismatches, %d described, confirmed until %v", second.Mismatches, len(w.mismatched), second.ConfirmedUntil)
	}
	w.known[missed.ARN] = missed.Version()
	last := &worklist.Sweep{Begun: sweptAt.Add(10 * time.Minute), Before: first, Mismatches: next.Mismatches}
	if third := sweepOnce(t, w, last); third.Mismatches != 0 {
		t.Errorf("%d mismatches of what is known", third.Mismatches)
	}
}

// TestAMismatchThatEndedStays: an execution of which nothing is known ran in one sweep and
// had ended in the next, which looks less far back.
func TestAMismatchThatEndedStays(t *testing.T) {
	t.Parallel()
	ended := listedSuccess(t, "a-missed", sweptAt.Add(-3*time.Minute))
	runs := ended
	runs.Status, runs.StopDate = cache.Running, time.Time{}
	w := &auditWorld{page: 1000, listed: []cache.Execution{runs}, known: map[cache.ARN]cache.Version{}}
	s := &worklist.Sweep{Begun: sweptAt, Before: worklist.Audited{Swept: sweptAt.Add(-time.Minute)}, Mismatches: map[cache.ARN]worklist.Mismatch{}}
	before := sweepOnce(t, w, s)
	w.listed = []cache.Execution{ended}
	next := &worklist.Sweep{Begun: sweptAt.Add(time.Minute), Before: before, Mismatches: s.Mismatches}
	if got := sweepOnce(t, w, next); got.Mismatches != 1 || len(w.mismatched) != 1 {
		t.Errorf("%d mismatches, %d described", got.Mismatches, len(w.mismatched))
	}
}

// TestAuditDoesNotUndoAnErasure: what other sweeps have looked at, ended, and is not
// known any more, was erased.
func TestAuditDoesNotUndoAnErasure(t *testing.T) {
	t.Parallel()
	w := &auditWorld{page: 1000, listed: []cache.Execution{listedSuccess(t, "a-erased", sweptAt.Add(-time.Hour))}}
	s := &worklist.Sweep{Begun: sweptAt, Before: worklist.Audited{Swept: sweptAt.Add(-time.Minute)}, Mismatches: map[cache.ARN]worklist.Mismatch{}}
	if got := sweepOnce(t, w, s); got.Mismatches != 0 {
		t.Error("it is a mismatch")
	}
}
