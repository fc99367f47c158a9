package conns

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
)

// Faults counts and logs the faults of connections.
type Faults struct {
	accepts *acceptErrors
	floods  *floodGuard
}

// NewFaults returns Faults whose counters are registered.
func NewFaults(log *slog.Logger, r prometheus.Registerer) *Faults {
	return &Faults{accepts: newAcceptErrors(log, r), floods: newFloodGuard(log, r)}
}

// OutOfFiles reports whether connections could not be accepted recently because no file
// descriptors were left.
func (f *Faults) OutOfFiles() bool { return f.accepts.lately() }
