package diagnose

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"statuscache/cache/internal/monotonic"
	"statuscache/cache/internal/redisdb"
	"statuscache/cache/outage"
)

const checkEvery = 2 * time.Second

// Setting is a setting that was correct, or could not be checked, when the process
// started, but may become wrong while it runs.
type Setting struct {
	Name        string // as a label of statuscache_misconfigured
	Wrong, Good string // log lines for when it becomes wrong, and when it is correct again
	// Check returns what is wrong, as a public sentence with the fix; empty if nothing is
	// wrong. Its error means that the setting cannot be checked.
	Check func(context.Context) (wrong string, err error)
}

// Settings checks settings regularly while the process runs.
type Settings struct {
	db      *redisdb.DB
	log     *slog.Logger
	gauge   *prometheus.GaugeVec
	watched []*watchedSetting
}

type watchedSetting struct {
	check func(context.Context) (wrong string, err error)
	part  outage.Part
	gauge prometheus.Gauge
	wrong atomic.Pointer[string] // empty: nothing is wrong; nil: not checked yet
}

// WatchSettings returns Settings with the maxmemory-policy of Redis.
func WatchSettings(db *redisdb.DB, log *slog.Logger, r prometheus.Registerer) *Settings {
	s := &Settings{db: db, log: log, gauge: prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: "statuscache", Name: "misconfigured",
		Help: "1 while a setting of Redis, or a setting that must match the data in Redis, is wrong, otherwise 0.",
	}, []string{"setting"})}
	if r != nil {
		r.MustRegister(s.gauge)
	}
	s.Add(Setting{
		Name: "maxmemory-policy", Check: s.wrongEvictions,
		Wrong: "Redis may evict records: its maxmemory-policy was changed", Good: "the maxmemory-policy of Redis is correct again",
	})
	return s
}

// Add adds a setting. It must be called before Run.
func (s *Settings) Add(one Setting) {
	s.watched = append(s.watched, &watchedSetting{
		check: one.Check, gauge: s.gauge.WithLabelValues(one.Name),
		part: outage.Part{Log: s.log, Lost: one.Wrong, Back: one.Good},
	})
}

// Run checks all settings until ctx ends.
func (s *Settings) Run(ctx context.Context) error {
	return monotonic.Every(ctx, checkEvery, func() {
		for _, w := range s.watched {
			w.update(ctx, s.db.Limits.Batch)
		}
	})
}

// update changes nothing if the setting cannot be checked.
func (w *watchedSetting) update(ctx context.Context, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	wrong, err := w.check(ctx)
	if err != nil {
		return
	}
	if wrong == "" {
		w.part.Is(nil)
		w.gauge.Set(0)
	} else {
		w.part.Is(errors.New(wrong))
		w.gauge.Set(1)
	}
	w.wrong.Store(&wrong)
}

// Wrong returns what is wrong with settings, as public sentences with the fix. It needs
// Run, and is at most a few seconds old.
func (s *Settings) Wrong() (all []string) {
	for _, w := range s.watched {
		if wrong := w.wrong.Load(); wrong != nil && *wrong != "" {
			all = append(all, *wrong)
		}
	}
	return all
}

// wrongEvictions reads the policy of every primary. It uses INFO, because the user may not
// be allowed to run CONFIG.
func (s *Settings) wrongEvictions(ctx context.Context) (wrong string, err error) {
	err = s.db.EachPrimary(ctx, func(ctx context.Context, node redisdb.Client) error {
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
