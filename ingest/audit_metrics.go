package ingest

import (
	"maps"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"statuscache/cache"
)

// repair is the kind of error that an audit has corrected.
type repair string

const (
	repairedUnknown repair = "unknown" // no event had arrived
	repairedEnd     repair = "end"     // it had ended
	repairedRedrive repair = "redrive" // it had been started again
	repairedRun     repair = "run"     // it runs; only a registration or an earlier execution of the name was known
	repairedOrphan  repair = "ghost"   // there is no such execution
)

// kindOf returns the kind of error: known is the version in the cache, e the state in
// Step Functions.
func kindOf(known cache.Version, e *cache.Execution) repair {
	switch {
	case known == "":
		return repairedUnknown
	case known.SameStart(e.Version()) && known.RedriveCount() < e.RedriveCount:
		return repairedRedrive
	case e.Terminal():
		return repairedEnd
	}
	return repairedRun
}

// auditMetrics count the errors that audits have found in the cache, and the sweeps.
type auditMetrics struct {
	repairs *prometheus.CounterVec
	sweeps  *prometheus.CounterVec

	mu        sync.Mutex
	byMachine map[string]int64 // repairs, by the ARN of the state machine
}

// repaired counts an execution that was wrong or missing.
func (m *auditMetrics) repaired(arn cache.ARN, kind repair) {
	m.repairs.WithLabelValues(string(kind)).Inc()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.byMachine[arn.StateMachine()]++
}

// Repairs returns how many executions of each state machine were corrected since the process
// started, by ARN.
func (a *Auditor) Repairs() map[string]int64 {
	a.metrics.mu.Lock()
	defer a.metrics.mu.Unlock()
	return maps.Clone(a.metrics.byMachine)
}

func newAuditMetrics(r prometheus.Registerer) *auditMetrics {
	m := &auditMetrics{
		byMachine: map[string]int64{},
		repairs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "statuscache", Name: "audit_repairs_total",
			Help: "Executions that were wrong or missing in the cache until an audit corrected them.",
		}, []string{"kind"}),
		sweeps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "statuscache", Name: "audit_sweeps_total",
			Help: "Comparisons of a state machine with Step Functions.",
		}, []string{"result"}),
	}
	for _, kind := range []repair{repairedUnknown, repairedEnd, repairedRedrive, repairedRun, repairedOrphan} {
		m.repairs.WithLabelValues(string(kind))
	}
	for _, result := range []string{"complete", "failed"} {
		m.sweeps.WithLabelValues(result)
	}
	if r != nil {
		r.MustRegister(m.repairs, m.sweeps)
	}
	return m
}
