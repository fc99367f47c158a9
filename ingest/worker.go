package ingest

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"statuscache/cache"
	"statuscache/cache/outage"
	"statuscache/cache/worklist"
	"statuscache/ingest/internal/traces"
)

// Worklists are lists of executions that must be described. They are in Redis; all
// processes share them.
type Worklists interface {
	// Claim claims some due entries for the time of the lease. The error may be about
	// entries other than those returned.
	Claim(ctx context.Context, list worklist.List, most int, lease time.Duration) ([]worklist.Entry, error)
	// Settle removes an entry from a list.
	Settle(ctx context.Context, list worklist.List, arn cache.ARN) error
	// Postpone makes an entry due again after d.
	Postpone(ctx context.Context, list worklist.List, arn cache.ARN, d time.Duration) error
}

// Describer describes one execution. StepFunctions implements it.
type Describer interface {
	Describe(ctx context.Context, arn cache.ARN, why Reason) (cache.Execution, error)
}

const (
	workLease = 30 * time.Second       // longer than a booked call can take, including its wait
	workPoll  = time.Second            // between two checks of a list with nothing due
	workRetry = 2 * time.Second        // after an answer that is older than the known state
	workShort = 250 * time.Millisecond // between two checks when the budget is used up
)

// worker handles the entries of one worklist.
type worker struct {
	list      worklist.List
	atOnce    int // entries handled at a time
	worklists Worklists
	log       *slog.Logger
	traces    *traces.Tracer
	purpose   string        // its name in spans
	wake      chan struct{} // buffered, 1: something is due, check now
	failed    *outage.Part  // outage of reading and writing the list
	short     atomic.Int64  // how long the budget was used up at the last attempt, in ns
	// handle handles one entry. It returns when the entry is due again; settled removes it
	// from the list. The error may be an errNoBudget.
	handle func(ctx context.Context, due worklist.Entry) (again time.Duration, err error)
}

// worklistOutage logs that a list cannot be read or written. The log names the list.
func worklistOutage(log *slog.Logger, list worklist.List) *outage.Part {
	return &outage.Part{
		Log: log.With("list", list.String()), Lost: "cannot read or update the worklist in Redis; trying again",
		Back: "the worklist in Redis can be read and updated again",
	}
}

// settled is the result of handle for an entry that is done.
const settled = time.Duration(-1)

// run works until ctx ends. Unfinished entries are then due at once, for the next
// process. An entry that waits for its call does not block entries that need no call.
func (q *worker) run(ctx context.Context) error {
	var g errgroup.Group
	g.SetLimit(q.atOnce)
	for ctx.Err() == nil {
		due, err := q.worklists.Claim(ctx, q.list, q.atOnce, workLease)
		if ctx.Err() == nil {
			q.failed.Is(err)
		}
		for _, each := range due {
			g.Go(func() error {
				if err := q.one(ctx, each); err != nil {
					q.failed.Is(err)
				}
				return nil
			})
		}
		pause := jitter(workPoll)
		if len(due) > 0 && err == nil {
			pause = min(time.Duration(q.short.Swap(0)), workShort)
		}
		select {
		case <-ctx.Done():
		case <-q.wake:
		case <-time.After(pause):
		}
	}
	return g.Wait()
}

func (q *worker) one(ctx context.Context, due worklist.Entry) error {
	ctx, span := q.traces.Describe(ctx, q.purpose, string(due.ARN))
	again, err := q.handle(ctx, due)
	defer span.End("", exceptNoBudget(err))
	if ctx.Err() != nil {
		return q.worklists.Postpone(context.WithoutCancel(ctx), q.list, due.ARN, 0)
	}
	if budget, ok := errors.AsType[*errNoBudget](err); ok {
		q.short.Store(int64(budget.wait))
	} else if err != nil {
		q.log.WarnContext(ctx, "could not get the state of an execution from Step Functions, or could not store it; trying again later", "execution", due.ARN, "error", err)
	}
	if again == settled {
		return q.worklists.Settle(ctx, q.list, due.ARN)
	}
	return q.worklists.Postpone(ctx, q.list, due.ARN, again)
}

// exceptNoBudget returns nil for an errNoBudget, which is not a failure.
func exceptNoBudget(err error) error {
	if _, ok := errors.AsType[*errNoBudget](err); ok {
		return nil
	}
	return err
}

// signal makes the worker check its list at once.
func (q *worker) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
