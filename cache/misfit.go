package cache

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"statuscache/cache/internal/redisdb"
	"statuscache/cache/outage"
)

const misfitsEvery = 2 * time.Second

// misfit is a setting that was right, or not to be judged, when the process started and
// may turn out wrong while it runs.
type misfit struct {
	look    func(context.Context) error // misfitError: it is wrong; any other error: it cannot be looked at
	part    outage.Part
	gauge   prometheus.Gauge
	problem atomic.Pointer[error]
}

// misfitError is what is wrong, as a sentence with the cure that everybody may read.
type misfitError string

func (e misfitError) Error() string { return string(e) }

func newMisfits(c *Cache) []*misfit {
	return []*misfit{
		{
			look: c.checkEvictions, gauge: c.metrics.misfits.WithLabelValues("maxmemory-policy"),
			part: outage.Part{Log: c.options.Log, Lost: "Redis may evict records: its maxmemory-policy was changed", Back: "the maxmemory-policy of Redis is right again"},
		},
		{
			look:  c.watchPepper,
			gauge: c.metrics.misfits.WithLabelValues("API_KEY_PEPPER"),
			part:  outage.Part{Log: c.options.Log, Lost: "API keys are refused: API_KEY_PEPPER is wrong", Back: "API_KEY_PEPPER fits the API keys in Redis again"},
		},
	}
}

// watchMisfits looks at all of them until ctx ends.
func (c *Cache) watchMisfits(ctx context.Context) error {
	tick := time.NewTicker(misfitsEvery)
	defer tick.Stop()
	for {
		for _, m := range c.misfits {
			m.update(ctx, c.db.BatchLimit())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// update leaves everything as it is where Redis cannot be asked.
func (m *misfit) update(ctx context.Context, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := m.look(ctx)
	if _, known := errors.AsType[misfitError](err); err != nil && !known {
		return
	}
	m.part.Is(err)
	m.problem.Store(&err)
	m.gauge.Set(0)
	if err != nil {
		m.gauge.Set(1)
	}
}

// Misfits returns what is wrong with settings, as sentences with the cure that everybody
// may read. It needs Run, and is a few seconds old at most.
func (c *Cache) Misfits() (all []string) {
	for _, m := range c.misfits {
		if err := m.problem.Load(); err != nil && *err != nil {
			all = append(all, (*err).Error())
		}
	}
	return all
}

// checkEvictions asks every primary for its policy, which may be changed while it runs.
// INFO names it to users who may not run CONFIG.
func (c *Cache) checkEvictions(ctx context.Context) error {
	err := c.db.EachPrimary(ctx, func(ctx context.Context, node *redis.Client) error {
		info, err := redisdb.ServerInfo(ctx, node, "memory")
		if err != nil {
			return err
		}
		return info.CheckEviction()
	})
	if errors.Is(err, redisdb.ErrUnfit) {
		return misfitError("Redis may evict records: " + strings.TrimPrefix(redisdb.OneLine(err), redisdb.ErrUnfit.Error()+": "))
	}
	return err
}
