package stats

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"statuscache/cache"
	"statuscache/cache/internal/monotonic"
	"statuscache/cache/internal/redisdb"
	"statuscache/cache/internal/tally"
	"statuscache/cache/singleflight"
)

const (
	// freshFor is how long counters in memory are used without reading Redis.
	freshFor = 900 * time.Millisecond
	// staleFor is how long they are used while Redis is being read.
	staleFor = 3 * time.Second
	// refreshEvery is how often Run reads Redis even without callers, because Typical
	// answers from memory.
	refreshEvery = 10 * time.Second
	// recountEvery is how often running executions are counted again, by one of all processes.
	recountEvery = time.Minute
	readLimit    = 10 * time.Second // of a refresh; the first reads everything
)

// Stats computes statistics about many executions. Its methods can be called concurrently.
type Stats struct {
	cache  *cache.Cache
	db     *redisdb.DB
	owners *owners

	refreshing singleflight.Group[struct{}]
	seeking    singleflight.Group[Overdue]
	begun      atomic.Bool  // the first refresh has ended
	readAt     atomic.Int64 // by the monotonic clock, when the last refresh began; 0: never
	typical    atomic.Pointer[map[string]Distribution]
	overdue    atomic.Pointer[overdueAt]
	failed     atomic.Pointer[error]

	reading sync.Mutex // one refresh at a time
	index   index      // of the last refresh

	mu       sync.RWMutex // of what follows
	counters *counters
}

// Open returns the statistics of the counters of a cache. It does not read them yet. metrics
// may be nil.
func Open(c *cache.Cache, metrics prometheus.Registerer) *Stats {
	s := &Stats{cache: c, db: c.DB(), owners: newOwners(c), counters: newCounters()}
	s.typical.Store(&map[string]Distribution{})
	if metrics != nil {
		metrics.MustRegister(newCollector(s))
	}
	return s
}

// Begun reports whether Run has tried to read all counters, as the first answer would do
// otherwise.
func (s *Stats) Begun() bool { return s.begun.Load() }

// Err returns why the counters could not be read the last time, nil if they could.
func (s *Stats) Err() error {
	if err := s.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// Run keeps the distributions of Typical and the metrics current until ctx ends, and from
// time to time counts the running executions again. Everything else works without it.
func (s *Stats) Run(ctx context.Context) error {
	return monotonic.Every(ctx, refreshEvery, func() {
		_ = s.refresh(ctx) // Err returns it; first, so that callers wait less at the start
		s.begun.Store(true)
		_ = tally.RecountRunning(ctx, s.db, recountEvery) // else the next time
	})
}

// Typical returns the durations of a state machine's succeeded executions; ok is false if
// none are known. It answers from memory.
func (s *Stats) Typical(stateMachine string) (d Distribution, ok bool) {
	d, ok = (*s.typical.Load())[stateMachine]
	return d, ok
}

// Durations returns the durations of a state machine and its Distributed Maps, or, with
// an empty ARN, of all, ordered by ARN. Callers share the answer and must not change it.
func (s *Stats) Durations(ctx context.Context, scope Scope, stateMachine string) ([]MachineDurations, error) {
	var all []MachineDurations
	if err := s.ask(ctx, scope, func(c *counters) { all = c.allDurations(stateMachine) }); err != nil {
		return nil, fmt.Errorf("durations: %w", err)
	}
	return all, nil
}

// ask calls f with the counters of all executions or of an owner's executions. f must not
// keep them.
func (s *Stats) ask(ctx context.Context, scope Scope, f func(*counters)) error {
	if !scope.All {
		own, err := s.owners.of(ctx, scope.Owner)
		if err == nil {
			f(own.counters)
		}
		return err
	}
	if err := s.fresh(ctx); err != nil {
		return err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	f(s.counters)
	return nil
}

// belongs reports whether a state machine is the given one or a Distributed Map in it.
func belongs(name, wanted string) bool {
	tail, ok := strings.CutPrefix(name, wanted)
	return ok && (wanted == "" || tail == "" || tail[0] == '/')
}

// fresh returns as soon as the counters in memory are at most staleFor old.
func (s *Stats) fresh(ctx context.Context) error {
	read := s.readAt.Load()
	age := time.Duration(monotonic.Now() - read)
	if read != 0 && age < freshFor {
		return nil
	}
	call := s.refreshing.Begin(ctx, readLimit, "", func(ctx context.Context) (struct{}, error) { return struct{}{}, s.refresh(ctx) })
	if read != 0 && age < staleFor {
		return nil
	}
	_, err := call.Wait(ctx)
	return err
}

// refresh reads what has been counted since the last time.
func (s *Stats) refresh(ctx context.Context) error {
	err := s.readOn(ctx)
	switch {
	case err == nil:
		s.failed.Store(nil)
	case ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded):
		s.failed.Store(&err)
	}
	return err
}

func (s *Stats) readOn(ctx context.Context) error {
	s.reading.Lock()
	defer s.reading.Unlock()
	begun := max(monotonic.Now(), 1)
	if err := s.index.read(ctx, s.db); err != nil {
		return fmt.Errorf("read the counters: %w", err)
	}
	s.mu.RLock()
	wanted := s.counters.changed(&s.index)
	s.mu.RUnlock()
	for _, part := range wanted.parts() {
		if err := s.read(ctx, part); err != nil {
			return fmt.Errorf("read the counters: %w", err) // data that was taken is not read again
		}
		s.mu.Lock()
		s.counters.takeParts(part)
		s.mu.Unlock()
	}
	s.mu.Lock()
	s.counters.take(&s.index)
	s.counters.drop(tally.Hour(s.index.now) - tally.KeptHours)
	s.publishTypical()
	s.mu.Unlock()
	s.readAt.Store(begun)
	return nil
}

// publishTypical makes Typical return the changed distributions.
func (s *Stats) publishTypical() {
	changed := map[string]Distribution{}
	for _, m := range s.counters.machines {
		if m.changed && m.name != "" {
			complete := m.durations
			complete.counts = slices.Clone(complete.counts)
			changed[m.name], m.changed = Distribution{&complete}, false
		}
	}
	if len(changed) == 0 {
		return
	}
	all := maps.Clone(*s.typical.Load())
	for name, d := range changed {
		if all[name] = d; d.Count() == 0 {
			delete(all, name)
		}
	}
	s.typical.Store(&all)
}
