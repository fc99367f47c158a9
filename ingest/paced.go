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
	// Throttled says that AWS refused a call, and returns for how long nobody makes
	// another.
	Throttled(ctx context.Context) (pause time.Duration, err error)
	// Paused returns for how long no call may be made, though it was booked.
	Paused() time.Duration
	// Passed says that AWS has answered.
	Passed(ctx context.Context) error
}

// errNoBudget says that a call cannot be made now.
type errNoBudget struct{ wait time.Duration }

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
		return &errNoBudget{wait}
	}
	if sleep(ctx, wait); ctx.Err() != nil {
		return ctx.Err()
	}
	if pause := b.Paused(); pause > 0 {
		return &errNoBudget{pause}
	}
	err = call(ctx)
	if errors.Is(err, ErrThrottled) {
		pause, budgetErr := b.Throttled(ctx)
		return errors.Join(&errNoBudget{pause}, budgetErr)
	}
	if err == nil {
		_ = b.Passed(ctx) // or the next one says it
	}
	return err
}
