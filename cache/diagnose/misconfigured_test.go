package diagnose

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"statuscache/cache/cachetest"
)

// saidOnceAMinute reports whether a sentence was logged, and no more often than once in
// each minute since then.
func saidOnceAMinute(l *cachetest.Log, begun time.Time, sentence string) bool {
	n := strings.Count(l.String(), sentence)
	return n > 0 && n <= 1+int(time.Since(begun)/time.Minute)
}

// run runs s until the test ends.
func run(t *testing.T, s *Settings) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

// misconfigured returns statuscache_misconfigured of a setting.
func misconfigured(t *testing.T, r *prometheus.Registry, setting string) float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "statuscache_misconfigured" && m.GetLabel()[0].GetValue() == setting {
				return m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no statuscache_misconfigured of %s", setting)
	return 0
}

// TestAWatchedSettingIsNoticed when it turns out wrong and when it is right again. While
// it cannot be checked, what was found last stays.
func TestAWatchedSettingIsNoticed(t *testing.T) {
	t.Parallel()
	var log cachetest.Log
	metrics, begun := prometheus.NewRegistry(), time.Now()
	s := WatchSettings(openIdle(t, cachetest.Redis(t).URL()).DB(), slog.New(slog.NewTextHandler(&log, nil)), metrics)
	type answer struct {
		wrong string
		err   error
	}
	var now atomic.Pointer[answer]
	now.Store(&answer{})
	var checked atomic.Int64
	s.Add(Setting{Name: "API_KEY_PEPPER", Wrong: "it is wrong", Good: "it is right again", Check: func(context.Context) (string, error) {
		checked.Add(1)
		a := now.Load()
		return a.wrong, a.err
	}})
	run(t, s)
	for _, each := range []struct {
		answer
		want []string
	}{
		{answer{}, nil}, {answer{"another secret is needed", nil}, []string{"another secret is needed"}},
		{answer{"", errors.New("Redis is away")}, []string{"another secret is needed"}}, {answer{}, nil},
	} {
		now.Store(&each.answer)
		before := checked.Load()
		cachetest.Eventually(t, "it is checked", func() bool { return checked.Load() > before+1 })
		if got := s.Wrong(); !slices.Equal(got, each.want) || misconfigured(t, metrics, "API_KEY_PEPPER") != float64(len(each.want)) {
			t.Errorf("%+v: %q, gauge %v", each.answer, got, misconfigured(t, metrics, "API_KEY_PEPPER"))
		}
	}
	if !saidOnceAMinute(&log, begun, "it is wrong") || !strings.Contains(log.String(), "it is right again") {
		t.Errorf("log:\n%s", log.String())
	}
}

// TestAnEvictionPolicyThatChangesIsNoticed by a user who may do no more than is needed.
func TestAnEvictionPolicyThatChangesIsNoticed(t *testing.T) {
	t.Parallel()
	cachetest.Each(t, func(t *testing.T, r cachetest.Running) {
		var log cachetest.Log
		metrics, begun := prometheus.NewRegistry(), time.Now()
		c := openIdle(t, r.LeastURL(t))
		s := WatchSettings(c.DB(), slog.New(slog.NewTextHandler(&log, nil)), metrics)
		run(t, s)
		for _, policy := range []string{"allkeys-lru", "volatile-lfu"} {
			r.Servers[0].Do("CONFIG SET maxmemory-policy " + policy)
			cachetest.Eventually(t, policy+" is noticed", func() bool {
				said := strings.Join(s.Wrong(), "\n")
				return strings.Contains(said, "maxmemory-policy "+policy) && strings.Contains(said, "set it to noeviction")
			})
		}
		if misconfigured(t, metrics, "maxmemory-policy") != 1 {
			t.Error("the metric does not say so")
		}
		r.Servers[0].Do("CONFIG SET maxmemory-policy noeviction")
		cachetest.Eventually(t, "the policy is right again", func() bool { return len(s.Wrong()) == 0 })
		cachetest.Eventually(t, "the log says so", func() bool { return strings.Contains(log.String(), "is correct again") })
		if !saidOnceAMinute(&log, begun, "Redis may evict records: its maxmemory-policy was changed") {
			t.Errorf("not one line that the policy was changed:\n%s", log.String())
		}
	}, cachetest.Single, cachetest.Clustered)
}
