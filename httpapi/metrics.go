package httpapi

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"statuscache/httpapi/auth"
)

type metrics struct {
	duration *prometheus.HistogramVec
	panics   prometheus.Counter
	streams  prometheus.Gauge
	// unauthorized counts answers with 401 by reason.
	unauthorized *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "statuscache", Name: "request_duration_seconds",
			Help:    "How long requests took, by route and status code.",
			Buckets: []float64{.0001, .0005, .001, .005, .01, .025, .05, .1, .25, .5, 1, 5, 30},
		}, []string{"route", "code"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "statuscache", Name: "panics_total", Help: "Requests that ended in a panic.",
		}),
	}
	m.streams = prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "statuscache", Name: "streams", Help: "Open streams."})
	m.unauthorized = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "statuscache", Name: "unauthorized_total", Help: "Requests that got 401, by the reason for which the token was refused.",
	}, []string{"reason"})
	for _, reason := range auth.Reasons {
		m.unauthorized.WithLabelValues(reason) // exported from the start, so that an increase is visible
	}
	if r != nil {
		r.MustRegister(m.duration, m.panics, m.unauthorized)
	}
	return m
}

// observeWaiters exports how many requests wait.
func (m *metrics) observeWaiters(r prometheus.Registerer, w *waiters) {
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "statuscache", Name: "waiting_requests", Help: "Open long polls and streams.",
	}, func() float64 { return float64(w.Count()) }), m.streams)
}

// observeProblems exports problems that exclude some callers, now or soon.
func (s *Server) observeProblems(r prometheus.Registerer) {
	if s.options.Introspection != nil {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "statuscache", Name: "introspection_failing", Help: "1 while AUTH_INTROSPECTION_URL does not check tokens, so that their callers get 503.",
		}, func() float64 {
			if s.auth.Introspection() != nil {
				return 1
			}
			return 0
		}))
	}
	if s.options.TLS != nil {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "statuscache", Name: "certificate_end_timestamp_seconds", Help: "When the certificate in TLS_CERT_FILE expires.",
		}, func() float64 { return float64(s.options.TLS.Ends().Unix()) }))
	}
}

// routeMetrics are the histograms of one route, by status code. It costs more to find a
// histogram by its labels than to observe a value, so each is found once.
type routeMetrics struct {
	vec    *prometheus.HistogramVec
	route  string
	byCode [600]atomic.Pointer[prometheus.Observer]
}

func (m *metrics) route(name string) *routeMetrics {
	return &routeMetrics{vec: m.duration, route: name}
}

func (m *routeMetrics) observe(code int, took time.Duration) {
	if code < 0 || code >= len(m.byCode) {
		code = http.StatusInternalServerError
	}
	o := m.byCode[code].Load()
	if o == nil {
		found := m.vec.WithLabelValues(m.route, strconv.Itoa(code))
		o = &found
		m.byCode[code].Store(o)
	}
	(*o).Observe(took.Seconds())
}
