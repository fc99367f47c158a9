package app

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"statuscache/cache/diagnose"
)

const (
	censusEvery  = 30 * time.Second
	censusWarned = time.Hour // between two warnings
)

// census reports executions without an owner, which only operators may read, and
// registrations without any event.
type census struct {
	service    *service
	latest     atomic.Pointer[diagnose.Census] // nil: no census yet
	ownerless  prometheus.Gauge
	silent     prometheus.Gauge
	warnedOf   time.Time // that executions have no owner
	warnedThat time.Time // that registrations have no events
}

func newCensus(s *service) *census {
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "statuscache", Name: name, Help: help})
		s.metrics.MustRegister(g)
		return g
	}
	return &census{
		service:   s,
		ownerless: gauge("recent_executions_without_owner", "Executions without an owner, in a sample of about a hundred of the newest; only operators may read them."),
		silent:    gauge("registrations_unheard", "Registered executions that have had no event for longer than an audit takes, in a sample."),
	}
}

// run repeats the census until ctx ends.
func (c *census) run(ctx context.Context) error {
	tick := time.NewTicker(censusEvery)
	defer tick.Stop()
	for {
		if s, err := diagnose.TakeCensus(ctx, c.service.cache, c.silentAfter()); err == nil {
			c.report(s, time.Now())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// silentAfter is the longest time that an audit takes to find an execution without events.
func (c *census) silentAfter() time.Duration { return 2*c.service.config.AuditEvery + time.Minute }

func (c *census) report(s diagnose.Census, now time.Time) {
	c.latest.Store(&s)
	c.ownerless.Set(float64(s.Ownerless))
	c.silent.Set(float64(s.Silent))
	if s.MostAreOwnerless() && now.Sub(c.warnedOf) >= censusWarned {
		c.warnedOf = now
		c.service.log.Warn("most executions have no owner, so only operators can read them; register them with POST /v1/executions, or set OWNER_PATH to the path of the owner in their input",
			"without", s.Ownerless, "looked", s.Looked, "example", s.OwnerlessExample)
	}
	if s.Silent > 0 && now.Sub(c.warnedThat) >= censusWarned {
		c.warnedThat = now
		c.service.log.Warn("registered executions have no events; check that they were started, and that STATE_MACHINES and the rule name their state machine",
			"count", s.Silent, "example", s.SilentExample)
	}
}

// notes returns what health reports to everybody.
func (c *census) notes() (all []string) {
	s := c.latest.Load()
	if s == nil {
		return nil
	}
	if s.MostAreOwnerless() {
		all = append(all, fmt.Sprintf("owners: %d of the %d newest executions have none, so only operators can read them", s.Ownerless, s.Looked))
	}
	if s.Silent > 0 {
		all = append(all, fmt.Sprintf("registrations: %d have had no event for %v or longer", s.Silent, c.silentAfter()))
	}
	return all
}
