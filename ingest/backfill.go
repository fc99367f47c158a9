package ingest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"statuscache/cache"
)

// Versions reads which versions the cache has.
type Versions interface {
	// Versions returns the version of each execution, empty for an unknown one.
	Versions(ctx context.Context, arns []cache.ARN) ([]cache.Version, error)
}

// Clock is the clock of Redis, because the clock of this machine may be wrong.
type Clock interface {
	Now(ctx context.Context) (time.Time, error)
}

// Checkpoints store the progress of interrupted work.
type Checkpoints interface {
	// Load returns what Save stored, empty for nothing.
	Load(ctx context.Context, name string) (string, error)
	// Save stores where work resumes; empty: from the beginning.
	Save(ctx context.Context, name, place string) error
}

// Backfill fetches the executions of a state machine from Step Functions, those that started
// in a time range. A second run resumes where the first one ended. An execution that is
// already known needs no call.
type Backfill struct {
	Cache       Applier
	Known       Versions
	Clock       Clock
	Checkpoints Checkpoints // nil: start at the beginning
	States      Describer
	Lister      Lister
	Describes   Budget
	Listings    Budget
	Machine     string    // ARN of the state machine
	Since       time.Time // the earliest start
	Until       time.Time // the latest
	Retention   time.Duration
	// RetentionFailed is Retention for failures; 0: the same.
	RetentionFailed time.Duration
	Owners          bool // whether the input may name an owner
	Labels          bool // whether the input may name labels

	mu     sync.Mutex
	done   BackfillProgress
	report func(BackfillProgress)
}

// BackfillProgress is the progress of a Backfill, which works from the latest start to the
// earliest.
type BackfillProgress struct {
	Resumed   bool      `json:"resumed"`         // it continued an earlier run
	Listed    int       `json:"listed"`          // executions in the range so far
	Known     int       `json:"known"`           // of these, already known in this state
	Added     int       `json:"learnt"`          // of these, new or newer than what was known
	Expired   int       `json:"expired"`         // of these, ended longer ago than RETENTION
	Failed    int       `json:"failed"`          // of these, could not be fetched
	Described int       `json:"described"`       // calls of DescribeExecution
	At        time.Time `json:"at"`              // the start time that it has reached
	Error     string    `json:"error,omitempty"` // the latest error
}

// backfillAtOnce is the largest number of DescribeExecution calls in progress or booked.
const backfillAtOnce = 8

// Run fills the cache until everything is fetched or ctx ends. It calls report after each
// execution or page. A failure of one execution is counted; a returned error has stopped
// the run.
func (b *Backfill) Run(ctx context.Context, report func(BackfillProgress)) (BackfillProgress, error) {
	b.report, b.done = report, BackfillProgress{At: b.Until}
	name := fmt.Sprintf("%s %d %d", b.Machine, b.Since.UnixMilli(), b.Until.UnixMilli())
	place := ""
	if b.Checkpoints != nil {
		var err error
		if place, err = b.Checkpoints.Load(ctx, name); err != nil {
			return b.done, err
		}
		b.done.Resumed = place != ""
	}
	q := ListQuery{Machine: b.Machine, After: place}
	for {
		page, err := b.list(ctx, q)
		if err != nil && q.After != "" && b.done.Listed == 0 && ctx.Err() == nil {
			q.After, b.done.Resumed = "", false // the checkpoint has expired
			continue
		}
		if err == nil {
			err = b.fill(ctx, page.Executions)
		}
		if err != nil {
			return b.done, err
		}
		last := len(page.Executions) - 1
		if q.After = page.Next; last >= 0 && page.Executions[last].StartDate.Before(b.Since) {
			q.After = ""
		}
		if b.Checkpoints != nil && b.done.Failed == 0 { // otherwise the next run must retry the failed executions
			if err := b.Checkpoints.Save(ctx, name, q.After); err != nil {
				return b.done, err
			}
		}
		if q.After == "" {
			return b.progress(func(p *BackfillProgress) { p.At = b.Since }), nil
		}
	}
}

// progress changes the progress and reports it.
func (b *Backfill) progress(change func(*BackfillProgress)) BackfillProgress {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.done)
	b.report(b.done)
	return b.done
}

func (b *Backfill) list(ctx context.Context, q ListQuery) (page ListPage, err error) {
	err = whenAllowed(ctx, b.Listings, func(ctx context.Context) error {
		page, err = b.Lister.List(ctx, q, ToBackfill)
		return err
	})
	return page, err
}

// whenAllowed waits without a limit until the budget allows a call, and makes it.
func whenAllowed(ctx context.Context, budget Budget, call func(context.Context) error) error {
	for {
		err := paced(ctx, budget, call)
		wait, noBudget := errors.AsType[*errNoBudget](err)
		if !noBudget {
			return err
		}
		if sleep(ctx, wait.wait); ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// fill fetches the executions of a page that are in the range and not known in this
// state.
func (b *Backfill) fill(ctx context.Context, listed []cache.Execution) error {
	var inRange []cache.Execution
	var arns []cache.ARN
	for _, e := range listed {
		if !e.StartDate.Before(b.Since) && !e.StartDate.After(b.Until) {
			inRange, arns = append(inRange, e), append(arns, e.ARN)
		}
	}
	known, err := b.Known.Versions(ctx, arns)
	if err != nil {
		return err
	}
	now, err := b.Clock.Now(ctx)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(backfillAtOnce)
	for i, e := range inRange {
		count := func(field func(*BackfillProgress) *int) {
			b.progress(func(p *BackfillProgress) {
				p.Listed++
				*field(p)++
				if e.StartDate.Before(p.At) {
					p.At = e.StartDate
				}
			})
		}
		switch {
		case known[i].SameOrLaterState(e.Version()) && !known[i].GaveUp():
			count(func(p *BackfillProgress) *int { return &p.Known })
		case e.Terminal() && now.Sub(e.StopDate) >= e.KeptFor(b.Retention, b.RetentionFailed):
			count(func(p *BackfillProgress) *int { return &p.Expired })
		default:
			g.Go(func() error { return b.fetch(ctx, e, count) })
		}
	}
	return g.Wait()
}

// fetch describes an execution and merges the answer. A returned error stops the run.
func (b *Backfill) fetch(ctx context.Context, e cache.Execution, count func(func(*BackfillProgress) *int)) error {
	if e.Terminal() || b.Owners || b.Labels { // otherwise the list has everything
		arn := e.ARN
		err := whenAllowed(ctx, b.Describes, func(ctx context.Context) (err error) {
			e, err = b.States.Describe(ctx, arn, ToBackfill)
			return err
		})
		if ctx.Err() != nil || errors.Is(err, ErrDenied) {
			return errors.Join(err, ctx.Err())
		}
		b.progress(func(p *BackfillProgress) { p.Described++ })
		if err != nil {
			b.progress(func(p *BackfillProgress) { p.Error = err.Error() })
			count(func(p *BackfillProgress) *int { return &p.Failed })
			return nil
		}
	}
	e.ReceivedAt = time.Now()
	if outcome := b.Cache.Apply(ctx, []cache.Execution{e})[0]; outcome.Err != nil {
		return outcome.Err
	}
	count(func(p *BackfillProgress) *int { return &p.Added })
	return nil
}
