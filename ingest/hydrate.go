package ingest

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"statuscache/cache"
	"statuscache/cache/worklist"
	"statuscache/ingest/internal/traces"
)

const (
	// hydrateFor is how long the Hydrator still tries to fetch an output after
	// HYDRATE_DEADLINE: AWS may have throttled the calls, or access may be granted later.
	hydrateFor  = 24 * time.Hour
	giveUpRetry = time.Minute // first delay; doubled each time
	// ownerRetry is the delay before an owner is fetched again after the budget was used
	// up. After a loss of records all running executions need their owners, and outputs
	// have priority.
	ownerRetry = 30 * time.Second
	// describeLag is how long to wait after an event: DescribeExecution lags behind, and
	// a call that is too early must be repeated.
	describeLag = time.Second
	// lastRetry is for how long before its deadline an output may be left without a retry, because
	// every check of very many outputs delays giving up.
	lastRetry = 5 * time.Second
)

// HydratorOptions configure a Hydrator.
type HydratorOptions struct {
	Cache     Applier
	Worklists Worklists
	States    Describer
	Budget    Budget        // nil: no calls are made
	Deadline  time.Duration // after this the API reports the success without its output
	Owners    bool          // whether the input may name an owner
	Labels    bool          // whether the input may name labels
	Log       *slog.Logger
	Metrics   prometheus.Registerer
	Traces    trace.TracerProvider // nil: no spans are made
}

// Hydrator fetches from Step Functions what events left out because it was too large:
// outputs, and inputs that may name an owner or labels. While it waits for an output, the
// API reports RUNNING. The worklist is in Redis: it survives this process, and no two
// processes describe the same execution at the same time.
type Hydrator struct {
	options HydratorOptions
	worker  *worker
	results *prometheus.CounterVec
}

// NewHydrator returns a Hydrator. Run starts it.
func NewHydrator(o HydratorOptions) *Hydrator {
	h := &Hydrator{options: o, results: prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "statuscache", Name: "hydrations_total",
		Help: "Outputs, owners and labels that events left out, by result.",
	}, []string{"result"})}
	h.worker = &worker{list: worklist.Awaited, atOnce: 64, worklists: o.Worklists, log: o.Log, traces: traces.New(o.Traces), purpose: string(ToHydrate), failed: worklistOutage(o.Log, worklist.Awaited), wake: make(chan struct{}, 1), handle: h.handle} // many at once, because giving up needs no call
	for _, result := range []string{hydrated, hydratedOwner, hydratedLabels, gaveUp} {
		h.results.WithLabelValues(result)
	}
	if o.Metrics != nil {
		o.Metrics.MustRegister(h.results)
	}
	return h
}

// Results of a hydration.
const (
	hydrated       = "fetched"
	hydratedOwner  = "owner"
	hydratedLabels = "labels"
	gaveUp         = "given_up"
)

// Run hydrates until ctx ends.
func (h *Hydrator) Run(ctx context.Context) error { return h.worker.run(ctx) }

// Wake makes the worker check its list at once.
func (h *Hydrator) Wake() { h.worker.signal() }

// handle implements worker.handle.
func (h *Hydrator) handle(ctx context.Context, due worklist.Entry) (time.Duration, error) {
	switch {
	case due.Record == nil:
		return settled, nil
	case due.Exact.AwaitsOutput() && due.Age >= h.options.Deadline:
		return h.later(due, h.giveUp(ctx, due))
	case due.Exact.GaveUp() && (due.Age >= hydrateFor || h.options.Budget == nil):
		return settled, nil
	case due.Age < describeLag:
		return describeLag - due.Age, nil
	case due.Exact.AwaitsOutput() || due.Exact.GaveUp():
		return h.output(ctx, due)
	case due.Record.Owner == "" && h.options.Owners, due.Record.Labels() == nil && h.options.Labels:
		return h.input(ctx, due)
	}
	return settled, nil
}

// output fetches an output.
func (h *Hydrator) output(ctx context.Context, due worklist.Entry) (time.Duration, error) {
	e, err := h.describe(ctx, due.ARN)
	switch {
	case errors.Is(err, ErrUnknown) || errors.Is(err, ErrDenied):
		if giveUpErr := h.giveUp(ctx, due); giveUpErr != nil {
			return h.later(due, giveUpErr)
		}
		return h.refused(due, err)
	case err != nil:
		return h.later(due, err)
	}
	if err := h.apply(ctx, e); err != nil {
		return workRetry, err
	}
	if e.Status != cache.Succeeded { // DescribeExecution lags behind the event
		return h.later(due, nil)
	}
	if e.Completeness == cache.Complete {
		h.results.WithLabelValues(hydrated).Inc()
	}
	return settled, nil
}

// refused returns when to retry after a final answer: never, or, if access is denied,
// with growing delays for a day, because access may be granted.
func (h *Hydrator) refused(due worklist.Entry, err error) (time.Duration, error) {
	if errors.Is(err, ErrUnknown) || due.Age >= hydrateFor {
		return settled, err
	}
	return max(giveUpRetry, due.Age), err
}

// input fetches the input, which may name the owner and labels.
func (h *Hydrator) input(ctx context.Context, due worklist.Entry) (time.Duration, error) {
	e, err := h.describe(ctx, due.ARN)
	switch {
	case errors.Is(err, ErrUnknown) || errors.Is(err, ErrDenied):
		return h.refused(due, err)
	case err != nil:
		again, err := h.later(due, err)
		return max(again, jitter(ownerRetry)), err
	}
	if err := h.apply(ctx, e); err != nil {
		return workRetry, err
	}
	if e.Owner != "" {
		h.results.WithLabelValues(hydratedOwner).Inc()
	}
	if len(e.Labels) > 0 {
		h.results.WithLabelValues(hydratedLabels).Inc()
	}
	return settled, nil
}

func (h *Hydrator) describe(ctx context.Context, arn cache.ARN) (e cache.Execution, err error) {
	if h.options.Budget == nil {
		return e, &errNoBudget{wait: h.options.Deadline}
	}
	err = paced(ctx, h.options.Budget, func(ctx context.Context) error {
		e, err = h.options.States.Describe(ctx, arn, ToHydrate)
		return err
	})
	return e, err
}

func (h *Hydrator) apply(ctx context.Context, e cache.Execution) error {
	e.ReceivedAt = time.Now()
	return h.options.Cache.Apply(ctx, []cache.Execution{e})[0].Err
}

// giveUp makes the API report the success without its output. This state has a separate
// version, so an output that arrives later is newer.
func (h *Hydrator) giveUp(ctx context.Context, due worklist.Entry) error {
	if !due.Exact.AwaitsOutput() {
		return nil
	}
	err := h.apply(ctx, cache.Execution{
		ARN: due.ARN, Status: cache.Succeeded, Completeness: cache.OutputGivenUp, Source: cache.FromEvent,
		StartDate: due.Record.StartDate, StopDate: due.StopDate, RedriveCount: due.Exact.RedriveCount(),
	})
	if err == nil {
		h.results.WithLabelValues(gaveUp).Inc()
	}
	return err
}

// later returns when to retry: soon at first, then with growing delays, and more often again
// before the deadline. A used-up budget is not a failure.
func (h *Hydrator) later(due worklist.Entry, err error) (time.Duration, error) {
	again := max(workRetry, due.Age/4)
	if budget, ok := errors.AsType[*errNoBudget](err); ok {
		again = max(2*budget.wait, workRetry)
		if !budget.throttled { // many executions wait for the same calls, and checking all of them too often delays giving up
			again = max(again, due.Age/2)
		}
		again = jitter(again)
	}
	if due.Exact.GaveUp() { // awaited outputs have priority
		again = max(giveUpRetry, due.Age)
	}
	if left := h.options.Deadline - due.Age; due.Exact.AwaitsOutput() && left > 0 {
		again = min(again, max(left/2, min(left, lastRetry))) // a delay up to the deadline would waste the calls until then
	}
	return again, err
}
