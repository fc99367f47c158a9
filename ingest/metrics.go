package ingest

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"statuscache/cache"
)

// result is the result of a delivery. Each delivery has exactly one.
type result string

const (
	resultApplied     = result(cache.Applied)
	resultSuperseded  = result(cache.Superseded)
	resultExpired     = result(cache.Expired)
	resultIgnored     = result("ignored")
	resultUndecodable = result("undecodable")
	resultRetried     = result("retried")
)

type metrics struct {
	events        *prometheus.CounterVec
	age           prometheus.Histogram
	ages          eventAges
	receiveErrors prometheus.Counter
	deletesFailed prometheus.Counter
	paused        prometheus.Gauge
	damaged       prometheus.Counter
	failing       *prometheus.GaugeVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "statuscache", Name: "events_total",
			Help: "Deliveries of messages by result.",
		}, []string{"result"}),
		age: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "statuscache", Name: "event_age_seconds",
			Help:                        "Time from the emission of an event, which is known in whole seconds, until the API reports its state.",
			Buckets:                     []float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 3600, 86400},
			NativeHistogramBucketFactor: 1.1,
		}),
		receiveErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "statuscache", Name: "receive_errors_total", Help: "Receive calls that failed.",
		}),
		deletesFailed: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "statuscache", Name: "deletes_failed_total",
			Help: "Handled messages that could not be deleted; they will be received again.",
		}),
		paused: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "statuscache", Name: "ingest_paused", Help: "1 while nothing is received because Redis does not accept writes.",
		}),
		damaged: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "statuscache", Name: "messages_damaged_total",
			Help: "Deliveries whose body does not match its MD5; they will be received again.",
		}),
		failing: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "statuscache", Name: "ingest_trouble",
			Help: "1 while a part of ingest has failed for 30 s or more.",
		}, []string{"part"}),
	}
	for _, each := range []result{resultApplied, resultSuperseded, resultExpired, resultIgnored, resultUndecodable, resultRetried} {
		m.events.WithLabelValues(string(each)) // exported from the start, as 0
	}
	if r != nil {
		r.MustRegister(m.events, m.age, m.receiveErrors, m.deletesFailed, m.paused, m.damaged, m.failing)
	}
	return m
}

func (m *metrics) count(what result, n int) { m.events.WithLabelValues(string(what)).Add(float64(n)) }

func (m *metrics) observeAge(emitted time.Time) {
	if !emitted.IsZero() {
		age := max(time.Since(emitted), 0)
		m.age.Observe(age.Seconds())
		m.ages.add(age)
	}
}
