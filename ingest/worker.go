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
)

// Inquiries are lists of executions that Step Functions is to be asked about, in
// Redis and shared by all processes.
type Worklists interface {
	// Claim takes some that are due, for the time of the lease. Its error may be
	// about others than those that it returns.
	Claim(ctx context.Context, list cache.Inquiry, most int, lease time.Duration) ([]cache.Due, error)
	// Settle takes one off a list.
	Settle(ctx context.Context, list cache.Inquiry, arn cache.ARN) error
	// Postpone has one be due again after d.
	Postpone(ctx context.Context, list cache.Inquiry, arn cache.ARN, d time.Duration) error
	// Forget removes the record of one unless it has changed since.
	Forget(ctx context.Context, arn cache.ARN, v cache.Version) (bool, error)
}

// Describer is Step Functions, as far as it tells of one execution.
type Describer interface {
	Describe(ctx context.Context, arn cache.ARN, why Reason) (cache.Execution, error)
}

const (
	workLease = 30 * time.Second       // longer than a call may be booked ahead and take
	workPoll  = time.Second            // between two looks at a list with nothing due
	workRetry = 2 * time.Second        // after an answer that is behind what is known
	workShort = 250 * time.Millisecond // between two looks where there is no budget
)

// inquirer works on one list.
type worker struct {
	list      cache.Inquiry
	atOnce    int // executions that are dealt with at a time
	worklists Worklists
	log       *slog.Logger
	wake      chan struct{} // room for one: something is due, do not wait to look
	failed    *outage.Part  // to read and write the list
	short     atomic.Int64  // for how long there is no budget, as was found lately, in ns
	// deal deals with one execution. It returns after how long that is due again;
	// settled takes it off the list. The error may be an errNoBudget.
	handle func(ctx context.Context, due cache.Due) (again time.Duration, err error)
}

// listFails logs that a list cannot be worked on.
func worklistOutage(log *slog.Logger) *outage.Part {
	return &outage.Part{
		Log: log, Lost: "the list of executions to ask Step Functions about cannot be worked on; this is tried again",
		Back: "the list of executions to ask Step Functions about is worked on again",
	}
}

// settled is the answer of a deal that is done.
const settled = time.Duration(-1)

// run works on the list until ctx ends. What it has in hand then is due at once, for
// whoever looks next. Those that wait for their call do not hold up those that need
// none.
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

func (q *worker) one(ctx context.Context, due cache.Due) error {
	again, err := q.handle(ctx, due)
	if ctx.Err() != nil {
		return q.worklists.Postpone(context.WithoutCancel(ctx), q.list, due.ARN, 0)
	}
	if budget, ok := errors.AsType[*errNoBudget](err); ok {
		q.short.Store(int64(budget.wait))
	} else if err != nil {
		q.log.Warn("cannot learn of an execution from Step Functions", "execution", due.ARN, "error", err)
	}
	if again == settled {
		return q.worklists.Settle(ctx, q.list, due.ARN)
	}
	return q.worklists.Postpone(ctx, q.list, due.ARN, again)
}

// signal has the inquirer look without delay.
func (q *worker) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
