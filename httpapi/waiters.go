package httpapi

import (
	"context"
	"time"

	"statuscache/httpapi/auth"
	"statuscache/httpapi/internal/envelope"
	"statuscache/httpapi/internal/fairness"
	"statuscache/httpapi/internal/waiting"
	"statuscache/httpapi/wire"
)

// waiters are the waiting requests. Their number is limited.
type waiters struct {
	*waiting.Registry
	auth   *auth.Authenticator
	places *fairness.Pool // one for each execution that is waited for
}

func newWaiters(a *auth.Authenticator, places *fairness.Pool) *waiters {
	check := func(ctx context.Context, token string) error {
		_, err := a.Authenticate(ctx, []string{token})
		return err
	}
	return &waiters{waiting.NewRegistry(check, auth.Rejected), a, places}
}

// add lets a request wait for n executions until the given time. remove must be called in
// any case.
func (w *waiters) add(x *exchange, executions int, until time.Time) error {
	if !w.places.Take(x.holder, int64(executions)) {
		return envelope.Unavailable("too many requests are waiting", nil)
	}
	x.cost = int64(executions)
	x.waiter = w.Add(waiting.Token{
		Text: x.credential(), Expires: x.caller.Expires,
		Watch: func(report func(error)) func() { return w.auth.Watch(&x.caller, report) },
	}, x.waker(), until)
	return nil
}

func (w *waiters) remove(x *exchange) {
	w.Remove(x.waiter)
	w.places.Give(x.holder, x.cost)
}

// waker returns the waker of a request.
func (x *exchange) waker() waiting.Waker {
	if w, ok := x.w.(*wire.Response); ok {
		return w
	}
	x.signals = make(waiting.Signals, 1)
	return x.signals
}
