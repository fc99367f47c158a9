package ingest

import (
	"context"
	"errors"
	"slices"
	"time"

	"statuscache/cache"
	"statuscache/cache/worklist"
)

// How far back a comparison looks.
const (
	// listingLag is how far ListExecutions may lag behind.
	listingLag = 10 * time.Second
	// overlap is how far the list of started executions reaches back before the previous
	// sweep.
	overlap = time.Minute
	// firstLook is how far back ended executions are listed in the first comparison.
	firstLook = 5 * time.Minute
	// mismatchFor is how long a mismatch that is no longer listed is kept, counted from when
	// it was found.
	mismatchFor = 24 * time.Hour
	// registeredFor is how long an execution may be registered without starting.
	registeredFor = 24 * time.Hour
	// redriveWindow is how long after its end an execution can be redriven.
	redriveWindow = 14 * 24 * time.Hour
	// redrivenPages is how many pages of redriven executions are read, latest start first,
	// because a redrive usually comes soon after the failure.
	redrivenPages = 2
)

// comparison is one sweep of a state machine. Three lists show which events may have been
// lost:
//
//   - The running executions show unknown executions and redrives. They also show lost ends,
//     however old the execution is: an execution that runs only in the cache has ended.
//   - The executions that started since the previous sweep, ended or not, show those that
//     started and ended between two sweeps.
//   - The redriven executions show redrives that started and ended between two sweeps.
type comparison struct {
	auditor    *Auditor
	sweep      *worklist.Sweep
	incomplete bool      // records may be missing here, so a listed execution is merged at once
	since      time.Time // earlier sweeps have compared ended executions that started before this

	runs     map[cache.ARN]struct{} // listed as running by Step Functions
	compared map[cache.ARN]struct{}
	differs  map[cache.ARN]worklist.Mismatch
	again    []cache.ARN // differed in the previous sweep as well
}

func newComparison(a *Auditor, s *worklist.Sweep) *comparison {
	return &comparison{
		auditor: a, sweep: s, incomplete: a.options.Incomplete(s.Before.Swept),
		runs: map[cache.ARN]struct{}{}, compared: map[cache.ARN]struct{}{}, differs: map[cache.ARN]worklist.Mismatch{},
	}
}

func (x *comparison) run(ctx context.Context) error {
	begun := x.sweep.Begun
	x.since = x.sweep.Before.Swept.Add(-overlap)
	if first := begun.Add(-firstLook); x.incomplete && (x.sweep.Before.Swept.IsZero() || first.Before(x.since)) {
		x.since = first
	}
	err := x.list(ctx, ListQuery{Status: cache.Running}, time.Time{}, 0)
	if err == nil {
		err = x.list(ctx, ListQuery{}, x.since, 0)
	}
	if err == nil {
		err = x.list(ctx, ListQuery{Redriven: true}, begun.Add(-redriveWindow), redrivenPages)
	}
	if err == nil {
		err = x.auditor.options.Running(ctx, x.sweep.Machine, func(arns []cache.ARN, started []time.Time) error {
			return x.runsOnlyHere(ctx, arns, started)
		})
	}
	if err == nil {
		err = x.keepUnresolved(ctx)
	}
	return err
}

// list compares the pages of a list. It stops at executions that started before since, and
// after the given number of pages; 0 pages: no limit.
func (x *comparison) list(ctx context.Context, q ListQuery, since time.Time, pages int) error {
	q.Machine = x.sweep.Machine
	for n := 1; ; n++ {
		var page ListPage
		err := x.auditor.listed(ctx, x.sweep.Machine, func(ctx context.Context) (err error) {
			page, err = x.auditor.options.Lister.List(ctx, q, ToAudit)
			return err
		})
		if err != nil {
			return err
		}
		if err := x.compare(ctx, page.Executions); err != nil {
			return err
		}
		last := len(page.Executions) - 1
		if q.After = page.Next; q.After == "" || n == pages || last >= 0 && page.Executions[last].StartDate.Before(since) {
			return nil
		}
	}
}

// compare finds executions that have an earlier state in the cache than in the list.
func (x *comparison) compare(ctx context.Context, listed []cache.Execution) error {
	arns := make([]cache.ARN, len(listed))
	for i, e := range listed {
		arns[i] = e.ARN
		x.compared[e.ARN] = struct{}{}
		if !e.Terminal() {
			x.runs[e.ARN] = struct{}{}
		}
	}
	known, err := x.auditor.options.Known.Versions(ctx, arns)
	if err != nil {
		return err
	}
	var accepted []cache.Execution
	for i, e := range listed {
		_, mismatched := x.sweep.Mismatches[e.ARN]
		switch {
		case known[i].SameOrLaterState(e.Version()):
		case e.Terminal() && !x.auditor.keeps(&e, x.sweep.Begun): // it is not kept
		case e.Terminal() && known[i] == "" && !mismatched && e.StartDate.Before(x.since): // an earlier sweep compared it; it may have been erased
		case x.incomplete && !e.Terminal(): // the list holds everything about a running execution
			e.OwnerLeftOut, e.LabelsLeftOut = x.auditor.options.Owners, x.auditor.options.Labels
			e.ReceivedAt = time.Now()
			accepted = append(accepted, e)
		default:
			x.differ(e.ARN, e.Version())
		}
	}
	return x.auditor.mergeListed(ctx, accepted)
}

// keeps reports whether a stopped execution is still kept at the given time.
func (a *Auditor) keeps(e *cache.Execution, at time.Time) bool {
	return at.Sub(e.StopDate) < e.KeptFor(a.options.Retention, a.options.RetentionFailed)
}

// runsOnlyHere finds executions with a lost end: they run in the cache but are not listed as
// running.
func (x *comparison) runsOnlyHere(ctx context.Context, arns []cache.ARN, started []time.Time) error {
	var missing []cache.ARN
	var since []time.Time
	for i, arn := range arns {
		if _, runs := x.runs[arn]; !runs && started[i].Before(x.sweep.Begun.Add(-listingLag)) {
			missing, since = append(missing, arn), append(since, started[i])
		}
	}
	known, err := x.auditor.options.Known.Versions(ctx, missing)
	if err != nil {
		return err
	}
	var orphans []cache.ARN
	for i, arn := range missing {
		switch v := known[i]; {
		case v == "":
			orphans = append(orphans, arn)
		case v == cache.Unobserved && x.sweep.Begun.Sub(since[i]) < registeredFor: // it may start soon
		case v.Running():
			x.differ(arn, "")
		}
	}
	x.auditor.options.Known.DropOrphans(ctx, orphans)
	return nil
}

// keepUnresolved handles mismatches of the previous sweep that are no longer listed because
// newer executions fill the pages. It compares them with what the previous sweep listed.
func (x *comparison) keepUnresolved(ctx context.Context) error {
	var arns []cache.ARN
	for arn, d := range x.sweep.Mismatches {
		if _, compared := x.compared[arn]; !compared && d.Listed != "" && x.sweep.Begun.Sub(d.Noted) < mismatchFor {
			arns = append(arns, arn)
		}
	}
	for some := range slices.Chunk(arns, 1000) {
		known, err := x.auditor.options.Known.Versions(ctx, some)
		if err != nil {
			return err
		}
		for i, arn := range some {
			if listed := x.sweep.Mismatches[arn].Listed; !known[i].SameOrLaterState(listed) {
				x.differ(arn, listed)
			}
		}
	}
	return nil
}

// differ notes a difference and what was listed. A difference is a mismatch to describe
// if the previous sweep had it too, or if records may be missing.
func (x *comparison) differ(arn cache.ARN, listed cache.Version) {
	if _, noted := x.differs[arn]; noted {
		return
	}
	d, before := x.sweep.Mismatches[arn]
	if !before {
		d.Noted = x.sweep.Begun
		if swept := x.sweep.Before.Swept; !swept.IsZero() {
			d.Until = swept.Add(-listingLag)
		}
	}
	d.Listed = listed
	x.differs[arn] = d
	if before || x.incomplete {
		x.again = append(x.again, arn)
	}
}

// result summarizes the sweep. If there are differences, the cache is confirmed only up to
// the last sweep without the oldest of them.
func (x *comparison) result() worklist.Audited {
	now := worklist.Audited{Swept: x.sweep.Begun, ConfirmedUntil: x.sweep.Begun.Add(-listingLag), Mismatches: len(x.differs)}
	first := true
	for _, d := range x.differs {
		if first || d.Until.Before(now.Oldest) {
			now.Oldest, first = d.Until, false
		}
	}
	if !first && now.Oldest.Before(now.ConfirmedUntil) {
		now.ConfirmedUntil = now.Oldest
	}
	if before := x.sweep.Before.ConfirmedUntil; now.ConfirmedUntil.Before(before) && !x.incomplete {
		now.ConfirmedUntil = before // later differences do not change what was confirmed
	}
	x.sweep.Mismatches = x.differs
	return now
}

// listed makes a ListExecutions call within the budget and extends the lease of the
// sweep. It fails if AWS throttles the call for a long time.
func (a *Auditor) listed(ctx context.Context, machine string, call func(context.Context) error) error {
	for begun := time.Now(); ; {
		if err := a.options.Sweeps.Extend(ctx, machine, sweepLease); err != nil {
			return err
		}
		err := paced(ctx, a.options.Listings, call)
		budget, noBudget := errors.AsType[*errNoBudget](err)
		if !noBudget || budget.wait > sweepLease/2 || time.Since(begun) > sweepLease {
			return err
		}
		if sleep(ctx, budget.wait); ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// requestDescribe puts mismatches on the worklist of all processes.
func (a *Auditor) requestDescribe(ctx context.Context, arns []cache.ARN) error {
	if len(arns) == 0 || a.options.Describes == nil {
		return nil
	}
	defer a.worker.signal()
	return a.options.Mismatches.AddMismatches(ctx, arns)
}

// mergeListed merges listed executions.
func (a *Auditor) mergeListed(ctx context.Context, listed []cache.Execution) error {
	const together = 100
	for len(listed) > 0 {
		some := listed[:min(together, len(listed))]
		listed = listed[len(some):]
		for i, outcome := range a.options.Cache.Apply(ctx, some) {
			switch {
			case outcome.Err != nil:
				return outcome.Err
			case outcome.Verdict == cache.Applied:
				a.metrics.repaired(some[i].ARN, kindOf("", &some[i]))
			}
		}
	}
	return nil
}
