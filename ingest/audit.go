package ingest

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"statuscache/cache"
	"statuscache/cache/outage"
	"statuscache/cache/worklist"
	"statuscache/ingest/internal/traces"
)

// Known is the part of the cache that an audit reads and cleans up.
type Known interface {
	// Versions returns the version of each execution, empty for an unknown one.
	Versions(ctx context.Context, arns []cache.ARN) ([]cache.Version, error)
	// Forget removes the record of an execution unless it has changed since, and reports
	// whether it has removed it.
	Forget(ctx context.Context, arn cache.ARN, v cache.Version) (bool, error)
	// DropOrphans removes executions that have no record (orphans) from the indexes.
	DropOrphans(ctx context.Context, arns []cache.ARN)
}

// Mismatches puts executions on the worklist of the audit.
type Mismatches interface {
	AddMismatches(ctx context.Context, arns []cache.ARN) error
}

// Sweeps decides which process sweeps which state machine, and when.
type Sweeps interface {
	// Claim returns a sweep that is due, nil if none is.
	Claim(ctx context.Context, machines []string, lease time.Duration) (*worklist.Sweep, error)
	Extend(ctx context.Context, machine string, d time.Duration) error
	End(ctx context.Context, s *worklist.Sweep, now worklist.Audited, d time.Duration) error
	// Fail stores why a sweep failed.
	Fail(ctx context.Context, s *worklist.Sweep, problem string, d time.Duration) error
}

// Lister lists executions. StepFunctions implements it.
type Lister interface {
	List(ctx context.Context, q ListQuery, why Reason) (ListPage, error)
}

// AuditorOptions configure an Auditor.
type AuditorOptions struct {
	Cache      Applier
	Worklists  Worklists
	Mismatches Mismatches
	Known      Known
	Sweeps     Sweeps
	// Running calls f with the running executions of a state machine, page by page.
	Running func(ctx context.Context, machine string, f func([]cache.ARN, []time.Time) error) error
	// Incomplete reports whether records of a state machine may have been lost since a
	// sweep that began at this time.
	Incomplete func(swept time.Time) bool
	States     Describer
	Lister     Lister
	Describes  Budget   // for DescribeExecution; nil: no calls are made, so nothing is repaired
	Listings   Budget   // of ListExecutions
	Machines   []string // ARNs of the state machines to compare
	Every      time.Duration
	Retention  time.Duration // how long stopped executions are kept
	// RetentionFailed is Retention for failures; 0: the same.
	RetentionFailed time.Duration

	Owners  bool // whether the input may name an owner
	Labels  bool // whether the input may name labels
	Log     *slog.Logger
	Metrics prometheus.Registerer
	Traces  trace.TracerProvider // nil: no spans are made
}

// Auditor compares the cache with Step Functions, because events get lost. Each sweep
// lists the executions of a state machine. An execution that differs in two sweeps in a
// row is a mismatch: it is described and merged like an event. This takes a few calls a
// minute, independent of the number of polls.
//
// The processes share the work: one claims a state machine and sweeps it, one claims a
// mismatch and describes it.
type Auditor struct {
	options AuditorOptions
	worker  *worker
	metrics *auditMetrics
	failed  *outage.Part // of sweeps
}

const (
	sweepLease = 2 * time.Minute // extended with each page
	sweepLook  = time.Second     // between two checks whether a sweep is due

	// orphanAge is the minimum age at which an execution that Step Functions does not
	// know counts as an orphan. The answers of Step Functions lag a little behind.
	orphanAge = 15 * time.Minute
)

// NewAuditor returns an Auditor. Run starts it.
func NewAuditor(o AuditorOptions) *Auditor {
	a := &Auditor{options: o, metrics: newAuditMetrics(o.Metrics)}
	a.worker = &worker{list: worklist.Mismatched, atOnce: 8, worklists: o.Worklists, log: o.Log, traces: traces.New(o.Traces), purpose: string(ToAudit), failed: worklistOutage(o.Log, worklist.Mismatched), wake: make(chan struct{}, 1), handle: a.handle}
	a.failed = &outage.Part{Log: o.Log, Lost: "an audit failed; trying again", Back: "audits work again"}
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
	g.Go(func() error { // wait even without work: if one part ends, all parts stop
		<-ctx.Done()
		return nil
	})
	return g.Wait()
}

// sweepAll sweeps each state machine when it is due, until ctx ends.
func (a *Auditor) sweepAll(ctx context.Context) error {
	for ctx.Err() == nil {
		s, err := a.options.Sweeps.Claim(ctx, a.options.Machines, sweepLease)
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

// sweep compares one state machine. If AWS does not answer, the sweep is due again when
// AWS is likely to answer.
func (a *Auditor) sweep(ctx context.Context, s *worklist.Sweep) error {
	x := newComparison(a, s)
	err := x.run(ctx)
	if err == nil {
		a.metrics.sweeps.WithLabelValues("complete").Inc()
		// Store the result first: handle reads what the sweep has stored about a mismatch.
		if err := a.options.Sweeps.End(ctx, s, x.result(), a.options.Every); err != nil {
			return err
		}
		return a.requestDescribe(ctx, x.again)
	}
	if ctx.Err() != nil {
		// The process is stopping. The next process starts this sweep again.
		return a.options.Sweeps.Extend(context.WithoutCancel(ctx), s.Machine, 0)
	}
	a.metrics.sweeps.WithLabelValues("failed").Inc()
	again := a.options.Every
	if budget, ok := errors.AsType[*errNoBudget](err); ok {
		again = max(again, budget.wait)
	}
	for _, problem := range []error{ErrUnknown, ErrDenied} { // these errors last; others are temporary
		if errors.Is(err, problem) {
			return errors.Join(err, a.options.Sweeps.Fail(ctx, s, problem.Error(), again))
		}
	}
	return errors.Join(err, a.options.Sweeps.Extend(ctx, s.Machine, again))
}

// handle describes one mismatch and merges the answer. It implements worker.handle.
func (a *Auditor) handle(ctx context.Context, due worklist.Entry) (time.Duration, error) {
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
	case err != nil: // if it still differs, the next sweep finds it again
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

// overtaken reports whether an event has arrived since the mismatch was found. Then the
// next sweep decides, or the Hydrator fetches the output.
func overtaken(due worklist.Entry) bool {
	return due.Record != nil && (due.Age < due.Waited || due.Exact.AwaitsOutput() ||
		due.Listed != "" && due.Exact.SameOrLaterState(due.Listed))
}

// removeOrphan removes an execution that Step Functions does not know.
func (a *Auditor) removeOrphan(ctx context.Context, due worklist.Entry) (time.Duration, error) {
	if due.Record == nil || due.Record.Terminal {
		return settled, nil
	}
	age, least := due.Now.Sub(due.Record.StartDate), orphanAge
	if due.Exact == cache.Unobserved { // the start date comes from a client and is no proof
		age, least = due.Age, registeredFor
	}
	if age < least {
		return settled, nil
	}
	gone, err := a.options.Known.Forget(ctx, due.ARN, due.Exact)
	if err != nil {
		return workRetry, err
	}
	if gone {
		a.repaired(due, repairedOrphan)
	}
	return settled, nil
}

func (a *Auditor) repaired(due worklist.Entry, kind repair) {
	a.metrics.repaired(due.ARN, kind)
	a.options.Log.Info("the audit corrected the record of an execution", "execution", due.ARN, "kind", kind, "version", due.Exact)
}
