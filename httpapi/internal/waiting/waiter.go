// Package waiting keeps track of waiting requests: which requests wait, and why a wait ends.
//
//	registry.go  all waiting requests, and their tokens
//	waiter.go    one waiting request
//
// It does not know HTTP or what requests wait for, and imports no other package of this project.
package waiting

import (
	"context"
	"sync"
	"time"
)

// Waiter is a waiting request. There may be tens of thousands.
type Waiter struct {
	group *group
	waker Waker
	timer *time.Timer // causes the next step if nothing else does

	mu      sync.Mutex
	until   time.Time               // the end of the wait
	cause   error                   // why it has ended; nil: it has not
	cancel  context.CancelCauseFunc // of the context of the step that runs; nil: it has none
	cleanUp func()                  // called when it is removed; nil: nothing to do
}

// Waker continues a request. It does not block.
type Waker interface{ Wake() }

// Signals wakes the goroutine that receives from it. Its capacity is 1.
type Signals chan struct{}

// Wake implements Waker.
func (s Signals) Wake() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// New returns a waiter that belongs to no Registry.
func New(waker Waker, until time.Time) *Waiter {
	one := &Waiter{waker: waker, until: until}
	one.timer = time.AfterFunc(time.Until(until), one.due)
	return one
}

// Wake continues the request.
func (one *Waiter) Wake() { one.waker.Wake() }

// due is called by the timer.
func (one *Waiter) due() {
	one.mu.Lock()
	over := !time.Now().Before(one.until)
	one.mu.Unlock()
	if over {
		one.End(ErrOver)
		return
	}
	one.Wake()
}

// WakeAt sets when the next step is due; zero: at the end of the wait.
func (one *Waiter) WakeAt(t time.Time) {
	one.mu.Lock()
	defer one.mu.Unlock()
	if t.IsZero() || t.After(one.until) {
		t = one.until
	}
	one.timer.Reset(time.Until(t))
}

// Prolong sets another end of the wait.
func (one *Waiter) Prolong(until time.Time) {
	one.mu.Lock()
	one.until = until
	one.mu.Unlock()
	one.WakeAt(until)
}

// End ends the wait. The request gets one more step.
func (one *Waiter) End(why error) {
	one.mu.Lock()
	if one.cause == nil {
		one.cause = why
	}
	if one.cancel != nil {
		one.cancel(why)
	}
	one.mu.Unlock()
	one.Wake()
}

// Ended returns why the wait has ended, or nil.
func (one *Waiter) Ended() error {
	one.mu.Lock()
	defer one.mu.Unlock()
	return one.cause
}

// Context returns a context for a step, with the values of another context. It ends with
// the wait, with the reason as its cause. The caller must release it.
func (one *Waiter) Context(values context.Context) (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(values))
	one.mu.Lock()
	defer one.mu.Unlock()
	if one.cancel = cancel; one.cause != nil {
		cancel(one.cause)
	}
	return ctx, func() {
		one.mu.Lock()
		defer one.mu.Unlock()
		one.cancel = nil
		cancel(nil)
	}
}

// AtEnd sets a function to call when the request no longer waits, and calls the function
// that was set before.
func (one *Waiter) AtEnd(f func()) {
	one.mu.Lock()
	before := one.cleanUp
	one.cleanUp = f
	one.mu.Unlock()
	if before != nil {
		before()
	}
}

// close releases the resources of the waiter.
func (one *Waiter) close() {
	one.timer.Stop()
	one.AtEnd(nil)
}
