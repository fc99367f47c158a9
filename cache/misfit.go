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

// Setting is a setting that was right, or could not be checked, when the process started
// and may turn out wrong while it runs.
type Setting struct {
	Name        string // as a label of statuscache_misconfigured
	Wrong, Good string // what is logged when it turns out wrong, and when it is right again
	// Check returns what is wrong, as a sentence with the cure that everybody may read;
	// empty if nothing is. Its error says that the setting cannot be checked.
	Check func(context.Context) (wrong string, err error)
}

// misfit is a Setting that is watched.
type misfit struct {
	check   func(context.Context) (wrong string, err error)
	part    outage.Part
	gauge   prometheus.Gauge
	problem atomic.Pointer[string] // empty: nothing is wrong; nil: not checked yet
}

// WatchSetting has a setting checked every few seconds. It comes before Run.
func (c *Cache) WatchSetting(s Setting) {
	c.misfits = append(c.misfits, &misfit{
		check: s.Check, gauge: c.metrics.misfits.WithLabelValues(s.Name),
		part: outage.Part{Log: c.options.Log, Lost: s.Wrong, Back: s.Good},
	})
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

// update changes nothing if the setting cannot be checked.
func (m *misfit) update(ctx context.Context, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	wrong, err := m.check(ctx)
	if err != nil {
		return
	}
	if wrong == "" {
		m.part.Is(nil)
		m.gauge.Set(0)
	} else {
		m.part.Is(errors.New(wrong))
		m.gauge.Set(1)
	}
	m.problem.Store(&wrong)
}

// Misfits returns what is wrong with settings, as sentences with the cure that everybody
// may read. It needs Run, and is a few seconds old at most.
func (c *Cache) Misfits() (all []string) {
	for _, m := range c.misfits {
		if wrong := m.problem.Load(); wrong != nil && *wrong != "" {
			all = append(all, *wrong)
		}
	}
	return all
}

// evictionPolicy is the maxmemory-policy of every primary, which may be changed while it
// runs.
func (c *Cache) evictionPolicy() Setting {
	return Setting{
		Name: "maxmemory-policy", Check: c.wrongEvictions,
		Wrong: "Redis may evict records: its maxmemory-policy was changed", Good: "the maxmemory-policy of Redis is right again",
	}
}

// wrongEvictions asks every primary for its policy. INFO names it to users who may not run
// CONFIG.
func (c *Cache) wrongEvictions(ctx context.Context) (wrong string, err error) {
	err = c.db.EachPrimary(ctx, func(ctx context.Context, node *redis.Client) error {
		info, err := redisdb.ServerInfo(ctx, node, "memory")
		if err != nil {
			return err
		}
		return info.CheckEviction()
	})
	if errors.Is(err, redisdb.ErrUnfit) {
		return "Redis may evict records: " + strings.TrimPrefix(redisdb.OneLine(err), redisdb.ErrUnfit.Error()+": "), nil
	}
	return "", err
}
