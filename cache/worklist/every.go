package worklist

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"statuscache/cache/internal/redisdb"
)

// every calls f now and then once in each interval, until ctx ends.
func every(ctx context.Context, interval time.Duration, f func()) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		f()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// askLimit is how long a question to Redis may take that is repeated soon.
func askLimit(db *redisdb.DB) time.Duration { return max(2*time.Second, db.Limits.Write) }

// gauge returns a gauge with a label, registered unless r is nil.
func gauge(r prometheus.Registerer, name, help, label string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "statuscache", Name: name, Help: help}, []string{label})
	if r != nil {
		r.MustRegister(g)
	}
	return g
}
