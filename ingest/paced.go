package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Budget is how often all processes together may call AWS for one purpose.
type Budget interface {
	// Take books a call, to be made after wait; where it is not ok, wait is after
	// how long it is worth asking again.
	Take(ctx context.Context) (wait time.Duration, ok bool, err error)
	// Throttled says that AWS refused a call, and returns after how long it is worth
	// booking another.
	Throttled(ctx context.Context) (wait time.Duration, err error)
	// Passed says that AWS has answered.
	Passed(ctx context.Context) error
}

// errNoBudget says that a call cannot be made now.
type errNoBudget struct {
	wait      time.Duration
	throttled bool // the call was made, and AWS refused it
}

// Error implements error.
func (e *errNoBudget) Error() string { return fmt.Sprintf("no call to AWS for %v", e.wait) }

// paced makes a call when the budget lets it. Its error is an errNoBudget where it
// does not, or where AWS has throttled the call.
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
		_ = b.Passed(ctx) // or the next one says it
	}
	return err
}
