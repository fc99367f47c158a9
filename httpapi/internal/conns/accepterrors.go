package conns

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// recently is how often it is logged that connections cannot be accepted, and how long
// health reports it after the last time.
const recently = time.Minute

// acceptErrors records when connections could not be accepted because the process has no
// file descriptor left. They wait in the kernel meanwhile.
type acceptErrors struct {
	log    *slog.Logger
	count  prometheus.Counter
	last   atomic.Int64 // in ns since begun; 0: never
	logged atomic.Int64
}

func newAcceptErrors(log *slog.Logger, r prometheus.Registerer) *acceptErrors {
	a := &acceptErrors{log: log, count: prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: "statuscache", Name: "accept_errors_total", Help: "How often a connection could not be accepted, such as for want of file descriptors.",
	})}
	r.MustRegister(a.count)
	return a
}

// note takes an error of accept.
func (a *acceptErrors) note(err error) {
	a.count.Inc()
	if !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) {
		return
	}
	now := int64(time.Since(begun))
	a.last.Store(now)
	if logged := a.logged.Load(); (logged == 0 || now-logged >= int64(recently)) && a.logged.CompareAndSwap(logged, now) {
		a.log.Error("no file descriptors are left for more connections: new ones are closed until one is free; raise the limit of open files (LimitNOFILE of the systemd unit, nofile of the container, ulimit -n)", "error", err)
	}
}

// lately reports whether file descriptors were used up not long ago.
func (a *acceptErrors) lately() bool {
	last := a.last.Load()
	return last != 0 && time.Since(begun)-time.Duration(last) < recently
}
