package stats

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"statuscache/cache"
	"statuscache/cache/cachetest"
)

// TestMetricsAreBounded: state machines and error names beyond the bounds have no metrics of
// their own, and nothing of an account is in a label.
func TestMetricsAreBounded(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	c, _ := openTest(t, cachetest.Redis(t).URL(), func(o *cache.Options) { o.Log = slog.New(slog.DiscardHandler) })
	s := Open(c, registry)
	start := now().Add(-time.Hour)
	var all []cache.Execution
	for i := range 2 * maxErrorLabels {
		e := failed(execution(machineA, fmt.Sprint("e", i)), start, time.Second, 0, "no")
		e.Error = fmt.Sprint("Error", i)
		all = append(all, e)
	}
	for i := range maxMachineLabels + 10 {
		all = append(all, succeeded(execution(fmt.Sprint(machineB, i), "e"), start, time.Minute, 0))
	}
	apply(t, c, all...)
	refresh(t, s)
	if n, err := testutil.GatherAndCount(registry, "statuscache_execution_duration_seconds"); err != nil || n != maxMachineLabels {
		t.Errorf("durations of %d state machines, %v", n, err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	failures := 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if strings.Contains(m.String(), "123456789012") {
				t.Errorf("%s names an account", m)
			}
			if f.GetName() == "statuscache_execution_failures" {
				failures += m.GetGauge().GetValue()
			}
		}
		if f.GetName() == "statuscache_execution_failures" && len(f.GetMetric()) != maxErrorLabels+1 {
			t.Errorf("%d error names", len(f.GetMetric()))
		}
	}
	if failures != 2*maxErrorLabels {
		t.Errorf("%v failures, want %d", failures, 2*maxErrorLabels)
	}
}

// TestCountersThatCannotBeReadAreReported, until they can be read again.
func TestCountersThatCannotBeReadAreReported(t *testing.T) {
	t.Parallel()
	c, s := openRedis(t)
	counts := c.DB().Names.Partitions[7].Counts
	if err := c.DB().Writers.Set(t.Context(), counts, "no hash", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.refresh(t.Context()); err == nil || s.Err() == nil {
		t.Errorf("the refresh says %v, and what is reported is %v", err, s.Err())
	}
	for i := range 64 { // of its partition too
		apply(t, c, succeeded(execution(machineA, fmt.Sprint("e", i)), now(), time.Second, 0))
	}
	if err := c.DB().Writers.Del(t.Context(), counts).Err(); err != nil {
		t.Fatal(err)
	}
	if refresh(t, s); s.Err() != nil {
		t.Errorf("they can be read again, and what is reported is %v", s.Err())
	}
}
