package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Budget limits how often all processes together call AWS for one purpose.
type Budget interface {
	// Take books a call, which must be made after wait. If ok is false, no call is booked;
	// try again after wait.
	Take(ctx context.Context) (wait time.Duration, ok bool, err error)
	// Throttled records that AWS throttled a call. It returns when to book the next one.
	Throttled(ctx context.Context) (wait time.Duration, err error)
	// Passed records that AWS answered.
	Passed(ctx context.Context) error
}

// errNoBudget is the error for a call that cannot be made now.
type errNoBudget struct {
	wait      time.Duration
	throttled bool // whether the call was made and AWS throttled it
}

// Error implements error.
func (e *errNoBudget) Error() string {
	return fmt.Sprintf("no AWS call is allowed for the next %v", e.wait)
}

// paced makes a call when the budget allows it. The error is an errNoBudget if the
// budget is used up, or if AWS has throttled the call.
func paced(ctx context.Context, b Budget, call func(context.Context) error) error {
	wait, ok, err := b.Take(ctx)
	if err != nil {
		return err
	}
	if !ok {
		return &errNoBudget{wait: wait}
	}
	if sleep(ctx, wait); ctx.Err() != nil {
		return ctx.Err()
	}
	err = call(ctx)
	if errors.Is(err, ErrThrottled) {
		wait, budgetErr := b.Throttled(ctx)
		return errors.Join(&errNoBudget{wait, true}, budgetErr)
	}
	if err == nil {
		_ = b.Passed(ctx) // if this fails, the next answer is recorded instead
	}
	return err
}
