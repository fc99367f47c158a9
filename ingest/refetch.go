package ingest

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"statuscache/cache"
	"statuscache/cache/worklist"
)

// RefetcherOptions configure a Refetcher.
type RefetcherOptions struct {
	Cache     Applier
	Worklists Worklists
	States    Describer
	Budget    Budget        // the budget of hydration; nil: no calls are made
	Life      time.Duration // how long outputs are kept; 0: as long as their records
	Log       *slog.Logger
	Metrics   prometheus.Registerer
}

// Refetcher fetches expired outputs from Step Functions again, at the request of callers.
// It fetches only a few at a time, because awaited outputs have priority.
type Refetcher struct {
	options RefetcherOptions
	worker  *worker
	results *prometheus.CounterVec
}

// refetchRetry is how long to wait after a call that failed.
const refetchRetry = 10 * time.Second

// NewRefetcher returns a Refetcher. Run starts it.
func NewRefetcher(o RefetcherOptions) *Refetcher {
	f := &Refetcher{options: o, results: prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "statuscache", Name: "refetches_total", Help: "Expired outputs that callers requested, by result.",
	}, []string{"result"})}
	f.worker = &worker{list: worklist.Requested, atOnce: 4, worklists: o.Worklists, log: o.Log, failed: worklistOutage(o.Log, worklist.Requested), wake: make(chan struct{}, 1), handle: f.handle}
	for _, result := range []string{refetched, refetchGone, refetchDenied} {
		f.results.WithLabelValues(result)
	}
	if o.Metrics != nil {
		o.Metrics.MustRegister(f.results)
	}
	return f
}

// Results of a refetch.
const (
	refetched     = "fetched"
	refetchGone   = "gone"
	refetchDenied = "denied"
)

// Run fetches outputs until ctx ends. Without a budget the requests stay on their list.
func (f *Refetcher) Run(ctx context.Context) error {
	if f.options.Budget == nil {
		<-ctx.Done()
		return nil
	}
	return f.worker.run(ctx)
}

// handle implements worker.handle.
func (f *Refetcher) handle(ctx context.Context, due worklist.Entry) (time.Duration, error) {
	if due.Record == nil || !due.Exact.Succeeded() || due.Record.OutputGone() || due.Record.OutputKept(f.options.Life, due.Now) {
		return settled, nil
	}
	var e cache.Execution
	err := paced(ctx, f.options.Budget, func(ctx context.Context) (err error) {
		e, err = f.options.States.Describe(ctx, due.ARN, ToRefetch)
		return err
	})
	budget, short := errors.AsType[*errNoBudget](err)
	switch {
	case short:
		return jitter(max(2*budget.wait, workRetry)), err
	case errors.Is(err, ErrUnknown):
		return f.gone(ctx, due)
	case errors.Is(err, ErrDenied): // removed from the list until a caller requests it again
		f.results.WithLabelValues(refetchDenied).Inc()
		return settled, err
	case err != nil:
		return jitter(refetchRetry), err
	}
	return f.found(ctx, due, e)
}

// found merges the answer of Step Functions.
func (f *Refetcher) found(ctx context.Context, due worklist.Entry, e cache.Execution) (time.Duration, error) {
	if e.Status == cache.Succeeded && e.Version().SameStart(due.Exact) {
		if e.Completeness != cache.Complete {
			return f.gone(ctx, due)
		}
		e.Completeness, e.OutputFrom = cache.OutputRefetched, due.Now
	}
	return f.merge(ctx, e, refetched)
}

// gone records that Step Functions does not have the output.
func (f *Refetcher) gone(ctx context.Context, due worklist.Entry) (time.Duration, error) {
	return f.merge(ctx, due.Record.OutputLost(), refetchGone)
}

func (f *Refetcher) merge(ctx context.Context, e cache.Execution, result string) (time.Duration, error) {
	e.ReceivedAt = time.Now()
	if err := f.options.Cache.Apply(ctx, []cache.Execution{e})[0].Err; err != nil {
		return workRetry, err
	}
	f.results.WithLabelValues(result).Inc()
	return settled, nil
}
