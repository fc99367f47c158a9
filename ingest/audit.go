package ingest

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"statuscache/cache"
	"statuscache/cache/outage"
)

// Known is what the cache knows, as far as an audit compares it.
type Known interface {
	// Versions returns the version of each execution, empty where nothing is known.
	Versions(ctx context.Context, arns []cache.ARN) ([]cache.Version, error)
	// Running calls f with the executions of a state machine that run.
	Running(ctx context.Context, machine string, f func([]cache.ARN, []time.Time) error) error
	// Doubt has Step Functions be asked about executions.
	Doubt(ctx context.Context, arns []cache.ARN) error
	// DropGhosts takes executions without a record out of the indexes.
	DropGhosts(ctx context.Context, arns []cache.ARN)
}

// Sweeps are whose turn it is to compare which state machine.
type Sweeps interface {
	ClaimSweep(ctx context.Context, machines []string, lease time.Duration) (*cache.Sweep, error)
	ExtendSweep(ctx context.Context, machine string, d time.Duration) error
	EndSweep(ctx context.Context, s *cache.Sweep, now cache.Audited, d time.Duration) error
	// FailSweep says why a sweep did not come to its end.
	FailSweep(ctx context.Context, s *cache.Sweep, problem string, d time.Duration) error
}

// Lister is Step Functions, as far as it lists executions.
type Lister interface {
	List(ctx context.Context, q ListQuery, why Reason) (ListPage, error)
}

// AuditorOptions say what an Auditor compares.
type AuditorOptions struct {
	Cache     Applier
	Worklists Worklists
	Known     Known
	Sweeps    Sweeps
	// Learning reports whether the records of a state machine may have been lost since
	// a sweep that began then.
	Learning  func(swept time.Time) bool
	States    Describer
	Lister    Lister
	Describes Budget   // nil: nothing may be described, so nothing is repaired
	Listings  Budget   // of ListExecutions
	Machines  []string // ARNs of the state machines to compare
	Every     time.Duration
	Retention time.Duration // for which stopped executions are kept
	Owners    bool          // whether the input may name an owner
	Log       *slog.Logger
	Metrics   prometheus.Registerer
}

// Auditor compares the cache with Step Functions, because events get lost. At each
// sweep the executions of a state machine are listed; what differs in two sweeps,
// one after the other, is described and merged like any event. That costs a few
// calls a minute however many poll.
//
// All processes share the work: whoever claims a state machine sweeps it, whoever
// claims an execution that is in doubt describes it.
type Auditor struct {
	options AuditorOptions
	worker  *worker
	metrics *auditMetrics
	failed  *outage.Part // to sweep
}

const (
	sweepLease = 2 * time.Minute // extended with each page
	sweepLook  = time.Second     // between two looks whether a sweep is due

	// ghostAge is how old an execution must be before it is believed that Step
	// Functions does not know it: its answers are a little behind.
	orphanAge = 15 * time.Minute
)

// NewAuditor returns an Auditor. Run starts it.
func NewAuditor(o AuditorOptions) *Auditor {
	a := &Auditor{options: o, metrics: newAuditMetrics(o.Metrics)}
	a.worker = &worker{list: cache.Doubted, atOnce: 8, worklists: o.Worklists, log: o.Log, failed: worklistOutage(o.Log), wake: make(chan struct{}, 1), handle: a.handle}
	a.failed = &outage.Part{Log: o.Log, Lost: "an audit failed; it is tried again", Back: "audits work again"}
	return a
}

// Run audits until ctx ends.
func (a *Auditor) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	if a.options.Describes != nil {
		g.Go(func() error { return a.worker.run(ctx) })
	}
	if len(a.options.Machines) > 0 {
		g.Go(func() error { return a.sweepAll(ctx) })
	}
	g.Go(func() error { // with nothing to do, too: the end of a part is the end of all
		<-ctx.Done()
		return nil
	})
	return g.Wait()
}

// sweepAll sweeps whatever is due until ctx ends.
func (a *Auditor) sweepAll(ctx context.Context) error {
	for ctx.Err() == nil {
		s, err := a.options.Sweeps.ClaimSweep(ctx, a.options.Machines, sweepLease)
		if err == nil && s != nil {
			err = a.sweep(ctx, s)
		}
		if ctx.Err() == nil && (err != nil || s != nil) {
			a.failed.Is(err)
		}
		if s == nil || err != nil {
			sleep(ctx, jitter(sweepLook))
		}
	}
	return nil
}

// sweep compares one state machine. Where AWS does not answer, it is due again
// when that is likely to be over.
func (a *Auditor) sweep(ctx context.Context, s *cache.Sweep) error {
	x := newComparison(a, s)
	err := x.run(ctx)
	if err == nil {
		a.metrics.sweeps.WithLabelValues("complete").Inc()
		// In this order: who deals with a doubt looks at what is remembered of it.
		if err := a.options.Sweeps.EndSweep(ctx, s, x.result(), a.options.Every); err != nil {
			return err
		}
		return a.requestDescribe(ctx, x.again)
	}
	if ctx.Err() != nil {
		// Ending; whoever looks next begins anew.
		return a.options.Sweeps.ExtendSweep(context.WithoutCancel(ctx), s.Machine, 0)
	}
	a.metrics.sweeps.WithLabelValues("failed").Inc()
	again := a.options.Every
	if budget, ok := errors.AsType[*errNoBudget](err); ok {
		again = max(again, budget.wait)
	}
	for _, problem := range []error{ErrUnknown, ErrDenied} { // which last; others are passing
		if errors.Is(err, problem) {
			return errors.Join(err, a.options.Sweeps.FailSweep(ctx, s, problem.Error(), again))
		}
	}
	return errors.Join(err, a.options.Sweeps.ExtendSweep(ctx, s.Machine, again))
}

// deal settles a doubt; it implements inquirer.deal.
func (a *Auditor) handle(ctx context.Context, due cache.Due) (time.Duration, error) {
	if overtaken(due) {
		return settled, nil
	}
	var e cache.Execution
	err := paced(ctx, a.options.Describes, func(ctx context.Context) (err error) {
		e, err = a.options.States.Describe(ctx, due.ARN, ToAudit)
		return err
	})
	budget, noBudget := errors.AsType[*errNoBudget](err)
	switch {
	case noBudget:
		return jitter(2 * max(budget.wait, workRetry)), err
	case errors.Is(err, ErrUnknown):
		return a.removeOrphan(ctx, due)
	case err != nil: // the next sweep doubts it again
		return settled, err
	}
	e.ReceivedAt = time.Now()
	outcome := a.options.Cache.Apply(ctx, []cache.Execution{e})[0]
	if outcome.Err != nil {
		return workRetry, outcome.Err
	}
	if outcome.Verdict == cache.Applied || outcome.Verdict == cache.Expired && due.Record != nil {
		a.repaired(due, kindOf(due.Exact, &e))
	}
	return settled, nil
}

// overtaken reports whether an event has come for a doubt meanwhile, so that it is
// left to the next sweep, or to who fetches its output.
func overtaken(due cache.Due) bool {
	return due.Record != nil && (due.Age < due.Waited || due.Exact.AwaitsOutput() ||
		due.Listed != "" && due.Exact.SameOrLaterState(due.Listed))
}

// ghost removes an execution that Step Functions does not know.
func (a *Auditor) removeOrphan(ctx context.Context, due cache.Due) (time.Duration, error) {
	if due.Record == nil || due.Record.Terminal {
		return settled, nil
	}
	age, least := due.Now.Sub(due.Record.StartDate), orphanAge
	if due.Exact == cache.Unobserved { // a date that was told proves nothing
		age, least = due.Age, registeredFor
	}
	if age < least {
		return settled, nil
	}
	gone, err := a.options.Worklists.Forget(ctx, due.ARN, due.Exact)
	if err != nil {
		return workRetry, err
	}
	if gone {
		a.repaired(due, repairedOrphan)
	}
	return settled, nil
}

func (a *Auditor) repaired(due cache.Due, kind repair) {
	a.metrics.repairs.WithLabelValues(string(kind)).Inc()
	a.options.Log.Info("repaired what no event had told", "execution", due.ARN, "kind", kind, "version", due.Exact)
}
