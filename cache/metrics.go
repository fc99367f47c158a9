package cache

import "github.com/prometheus/client_golang/prometheus"

// metrics of the near cache and the change feed.
type metrics struct {
	nearHits      prometheus.Counter
	nearMisses    prometheus.Counter
	readBatches   prometheus.Counter
	notifications prometheus.Counter
	losses        prometheus.Counter
	confirmed     *prometheus.GaugeVec
	inquiries     *prometheus.GaugeVec
	lost          *prometheus.GaugeVec
	misfits       *prometheus.GaugeVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "statuscache", Name: name, Help: help})
		if r != nil {
			r.MustRegister(c)
		}
		return c
	}
	gauge := func(name, help, label string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "statuscache", Name: name, Help: help}, []string{label})
		if r != nil {
			r.MustRegister(g)
		}
		return g
	}
	return &metrics{
		nearHits:      counter("near_cache_hits_total", "Reads answered from the near cache."),
		nearMisses:    counter("near_cache_misses_total", "Reads that needed Redis."),
		readBatches:   counter("redis_read_batches_total", "Round trips to Redis for reads; each serves many."),
		notifications: counter("change_notifications_total", "Changes heard on the change feed."),
		losses:        counter("redis_losses_total", "Times that Redis was found emptied, or back in an older state."),
		confirmed: gauge("audit_confirmed_timestamp_seconds",
			"Up to when a state machine has been compared with Step Functions and found whole.", "state_machine"),
		inquiries: gauge("inquiries", "Executions that Step Functions is to be asked about.", "list"),
		lost:      gauge("lost", "What Redis has lost and is neither back nor dismissed: 1, else 0.", "part"),
		misfits:   gauge("misconfigured", "1 while a setting of Redis, or one of ours that must fit what is in Redis, is wrong, else 0.", "setting"),
	}
}

// tellLoss shows what is lost; nil: nothing.
func (m *metrics) tellLoss(loss *Loss) {
	if loss == nil {
		loss = &Loss{}
	}
	for part, lost := range map[string]bool{partRunning: loss.Running, partResults: loss.Results, partKeys: loss.Keys} {
		value := 0.0
		if lost {
			value = 1
		}
		m.lost.WithLabelValues(part).Set(value)
	}
}
