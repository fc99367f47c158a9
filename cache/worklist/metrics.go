package worklist

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"statuscache/cache/internal/redisdb"
)

// askLimit is how long a read from Redis may take that is repeated soon.
func askLimit(db *redisdb.DB) time.Duration { return max(2*time.Second, db.Limits.Write) }

// gauge returns a gauge with a label, registered unless r is nil.
func gauge(r prometheus.Registerer, name, help, label string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "statuscache", Name: name, Help: help}, []string{label})
	if r != nil {
		r.MustRegister(g)
	}
	return g
}
