// Package singleflight lets concurrent callers share one call. A panic in the call becomes an
// error for all of them, because the call runs on a separate goroutine, where a panic
// would end the process.
package singleflight

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"golang.org/x/sync/singleflight"
)

// ErrPanicked means that a call panicked. The text has the stack.
var ErrPanicked = errors.New("panic")

// Recover turns a panic of the function that defers it into an error.
func Recover(err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("%w: %v\n%s", ErrPanicked, v, debug.Stack())
	}
}

// Group has the calls in progress, by key. The zero value is ready for use.
type Group[T any] struct{ calls singleflight.Group }

// Do returns the result of the call for a key. It makes the call unless another caller is
// making it.
func (g *Group[T]) Do(key string, call func() (T, error)) (T, error) {
	v, err, _ := g.calls.Do(key, func() (_ any, err error) {
		defer Recover(&err)
		return call()
	})
	return result[T](v), err
}

// Begin begins the call of a key unless one is in progress. The call ends after limit, but not
// with ctx: others may wait for it after the first caller has gone.
func (g *Group[T]) Begin(ctx context.Context, limit time.Duration, key string, call func(context.Context) (T, error)) Call[T] {
	return Call[T]{g.calls.DoChan(key, func() (_ any, err error) {
		defer Recover(&err)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
		defer cancel()
		return call(ctx)
	})}
}

// Call is a call in progress.
type Call[T any] struct{ done <-chan singleflight.Result }

// Wait returns the result of the call, or the error of ctx if that ends first.
func (c Call[T]) Wait(ctx context.Context) (T, error) {
	select {
	case r := <-c.done:
		return result[T](r.Val), r.Err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// result returns the zero value where a call has panicked.
func result[T any](v any) T {
	typed, _ := v.(T)
	return typed
}
