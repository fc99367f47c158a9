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

// recently is the time between two log lines about connections that cannot be accepted,
// and how long health reports the last such connection.
const recently = time.Minute

// acceptErrors records when connections could not be accepted because the process had no
// file descriptor left. In the meantime they wait in the kernel.
type acceptErrors struct {
	log           *slog.Logger
	count         prometheus.Counter
	last          atomic.Int64 // in ns since begun; 0: never
	logged        atomic.Int64
	refusedLogged atomic.Int64
}

func newAcceptErrors(log *slog.Logger, r prometheus.Registerer) *acceptErrors {
	a := &acceptErrors{log: log, count: prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: "statuscache", Name: "accept_errors_total", Help: "Connections that could not be accepted, for example because no file descriptor was left.",
	})}
	r.MustRegister(a.count)
	return a
}

// note records an error of accept.
func (a *acceptErrors) note(err error) {
	a.count.Inc()
	if !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) {
		return
	}
	a.last.Store(int64(time.Since(begun)))
	if dueToLog(&a.logged) {
		a.log.Error("no file descriptors are left, so new connections are closed until others end; raise the limit of open files (LimitNOFILE of the systemd unit, nofile of the container, ulimit -n)", "error", err)
	}
}

// refused records an address from which no further connection is accepted.
func (a *acceptErrors) refused(addr net.Addr) {
	if dueToLog(&a.refusedLogged) {
		a.log.Warn("a connection was closed immediately, because its client address already has half of the available connections; if many clients share this address, raise the limit of open files", "address", addr.String())
	}
}

// dueToLog reports whether to log something again, and if so sets logged, the time of the
// last line.
func dueToLog(logged *atomic.Int64) bool {
	now, last := int64(time.Since(begun)), logged.Load()
	return (last == 0 || now-last >= int64(recently)) && logged.CompareAndSwap(last, now)
}

// lately reports whether file descriptors were used up recently.
func (a *acceptErrors) lately() bool {
	last := a.last.Load()
	return last != 0 && time.Since(begun)-time.Duration(last) < recently
}
