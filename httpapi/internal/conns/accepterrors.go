package conns

import (
	"errors"
	"log/slog"
	"net"
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
	log           *slog.Logger
	count         prometheus.Counter
	last          atomic.Int64 // in ns since begun; 0: never
	logged        atomic.Int64
	refusedLogged atomic.Int64
}

func newAcceptErrors(log *slog.Logger, r prometheus.Registerer) *acceptErrors {
	a := &acceptErrors{log: log, count: prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: "statuscache", Name: "accept_errors_total", Help: "How often a connection could not be accepted, for example because no file descriptor was left.",
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
	a.last.Store(int64(time.Since(begun)))
	if seldom(&a.logged) {
		a.log.Error("no file descriptors are left for more connections: new ones are closed until one is free; raise the limit of open files (LimitNOFILE of the systemd unit, nofile of the container, ulimit -n)", "error", err)
	}
}

// refused takes an address of which no further connection is accepted.
func (a *acceptErrors) refused(addr net.Addr) {
	if seldom(&a.refusedLogged) {
		a.log.Warn("a connection was closed at once: its address has as many as are left for all others; if many clients share that address, raise the limit of open files", "address", addr.String())
	}
}

// seldom reports whether to log something again, and takes it that this is done. logged is
// when it was last.
func seldom(logged *atomic.Int64) bool {
	now, last := int64(time.Since(begun)), logged.Load()
	return (last == 0 || now-last >= int64(recently)) && logged.CompareAndSwap(last, now)
}

// lately reports whether file descriptors were used up not long ago.
func (a *acceptErrors) lately() bool {
	last := a.last.Load()
	return last != 0 && time.Since(begun)-time.Duration(last) < recently
}
