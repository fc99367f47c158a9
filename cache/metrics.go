package cache

import "github.com/prometheus/client_golang/prometheus"

// metrics of the near cache and the change feed.
type metrics struct {
	nearHits      prometheus.Counter
	nearMisses    prometheus.Counter
	readBatches   prometheus.Counter
	notifications prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "statuscache", Name: name, Help: help})
		if r != nil {
			r.MustRegister(c)
		}
		return c
	}
	return &metrics{
		nearHits:      counter("near_cache_hits_total", "Reads answered from the near cache."),
		nearMisses:    counter("near_cache_misses_total", "Reads that needed Redis."),
		readBatches:   counter("redis_read_batches_total", "Round trips to Redis for reads. Many reads can share one."),
		notifications: counter("change_notifications_total", "Changes received from the change feed."),
	}
}
