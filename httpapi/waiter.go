package httpapi

import (
	"context"
	"sync"
	"time"

	"statuscache/httpapi/internal/fairness"
	"statuscache/httpapi/wire"
)

// waiter is what a request that waits has beside its exchange. There may be tens of
// thousands.
type waiter struct {
	group  *tokenGroup
	holder *fairness.Holder
	cost   int64 // in places
	waker  waker
	timer  *time.Timer // of the next step that nothing else causes

	mu      sync.Mutex
	until   time.Time               // the end of the wait
	cause   error                   // why it has ended; nil: it has not
	cancel  context.CancelCauseFunc // of the context of the step that runs; nil: it has none
	cleanUp func()                  // when it is removed; nil: nothing is to be done
}

// waker has a request continued. It does not block.
type waker interface{ Wake() }

// signals wake a goroutine that receives them. They have room for one.
type signals chan struct{}

// Wake implements waker.
func (s signals) Wake() {
	select {
	case s <- struct{}{}:
	default:
	}
}

func newWaiter(x *exchange, cost int64, until time.Time) *waiter {
	one := &waiter{holder: x.holder, cost: cost, until: until}
	if w, ok := x.w.(*wire.Response); ok {
		one.waker = w
	} else {
		one.waker = make(signals, 1)
	}
	one.timer = time.AfterFunc(time.Until(until), one.due)
	return one
}

func (one *waiter) wake() { one.waker.Wake() }

// due is called by the timer.
func (one *waiter) due() {
	one.mu.Lock()
	over := !time.Now().Before(one.until)
	one.mu.Unlock()
	if over {
		one.end(errOver)
		return
	}
	one.wake()
}

// wakeAt sets when the next step is due; zero: at the end of the wait.
func (one *waiter) wakeAt(t time.Time) {
	one.mu.Lock()
	defer one.mu.Unlock()
	if t.IsZero() || t.After(one.until) {
		t = one.until
	}
	one.timer.Reset(time.Until(t))
}

// prolong sets another end of the wait.
func (one *waiter) prolong(until time.Time) {
	one.mu.Lock()
	one.until = until
	one.mu.Unlock()
	one.wakeAt(until)
}

// end ends the wait, which has a next step then.
func (one *waiter) end(why error) {
	one.mu.Lock()
	if one.cause == nil {
		one.cause = why
	}
	if one.cancel != nil {
		one.cancel(why)
	}
	one.mu.Unlock()
	one.wake()
}

// ended returns why the wait has ended, or nil.
func (one *waiter) ended() error {
	one.mu.Lock()
	defer one.mu.Unlock()
	return one.cause
}

// context returns a context for a step, with the values of another one. It ends with the
// wait, with the reason as its cause, and is to be released.
func (one *waiter) context(values context.Context) (ctx context.Context, release func()) {
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

// atEnd sets what is to be done when the request does not wait any more, and does what was
// set before.
func (one *waiter) atEnd(f func()) {
	one.mu.Lock()
	before := one.cleanUp
	one.cleanUp = f
	one.mu.Unlock()
	if before != nil {
		before()
	}
}

// close gives back what the waiter has.
func (one *waiter) close() {
	one.timer.Stop()
	one.atEnd(nil)
}
