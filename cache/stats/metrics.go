package stats

import (
	"cmp"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"statuscache/cache"
)

const (
	// maxMachineLabels is how many state machines have metrics: those with the most
	// executions.
	maxMachineLabels = 50
	// maxErrorLabels is how many error names of each state machine have metrics: those
	// with the most failures; the rest count as other.
	maxErrorLabels = 10
	otherErrors    = "other"
)

// collector exports what is in memory. Every process exports the same.
type collector struct {
	stats     *Stats
	durations *prometheus.Desc
	failures  *prometheus.Desc
}

func newCollector(s *Stats) *collector {
	return &collector{
		s,
		prometheus.NewDesc("statuscache_execution_duration_seconds", "Run times of the executions that succeeded in the last 7 days; all processes export the same.", []string{"state_machine"}, nil),
		prometheus.NewDesc("statuscache_execution_failures", "Failed attempts of executions in the last 24 hours; all processes export the same.", []string{"state_machine", "error"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	to <- c.durations
	to <- c.failures
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	c.stats.mu.RLock()
	defer c.stats.mu.RUnlock()
	shown := c.stats.counters.labels()
	for name, d := range shown {
		sum := 0.0
		d.each(func(seconds float64, n int64) { sum += seconds * float64(n) })
		quantiles := map[float64]float64{}
		for _, q := range []float64{0.5, 0.95, 0.99} {
			quantiles[q] = d.quantile(q)
		}
		to <- prometheus.MustNewConstSummary(c.durations, uint64(d.total), sum, quantiles, name)
	}
	for name, errors := range c.stats.counters.errorLabels(shown) {
		for each, n := range errors {
			to <- prometheus.MustNewConstMetric(c.failures, prometheus.GaugeValue, float64(n), name, each)
		}
	}
}

// labels returns the durations of the state machines that have metrics, by their names,
// which do not contain the account.
func (c *counters) labels() map[string]*sketch {
	all := map[string]*sketch{}
	ended := map[string]int64{}
	for _, m := range c.machines {
		if m.name == "" {
			continue
		}
		name := cache.MachineARN(m.name).Name()
		if all[name] == nil {
			all[name] = &sketch{}
		}
		all[name].merge(&m.durations, 1)
		for _, h := range m.hours {
			ended[name] += h.succeeded + h.failed
		}
	}
	for _, name := range leastOf(ended, maxMachineLabels) {
		delete(all, name)
	}
	for name := range all {
		if ended[name] == 0 {
			delete(all, name)
		}
	}
	return all
}

// leastOf returns all keys except the given number of keys with the greatest numbers.
func leastOf(numbers map[string]int64, most int) []string {
	keys := make([]string, 0, len(numbers))
	for key := range numbers {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b string) int { return cmp.Or(cmp.Compare(numbers[b], numbers[a]), cmp.Compare(a, b)) })
	return keys[min(most, len(keys)):]
}

// errorLabels returns how many attempts failed in the last 24 hours, by the names of the
// state machines that are shown and by error name.
func (c *counters) errorLabels(shown map[string]*sketch) map[string]map[string]int64 {
	all := map[string]map[string]int64{}
	f := c.lastFailures(day, "")
	for _, g := range f.Groups {
		name := cache.MachineARN(g.StateMachine).Name()
		if shown[name] == nil {
			continue
		}
		if all[name] == nil {
			all[name] = map[string]int64{}
		}
		all[name][cmp.Or(g.Error, otherErrors)] += g.Count
	}
	for _, errors := range all {
		for _, each := range leastOf(errors, maxErrorLabels) {
			if each != otherErrors {
				errors[otherErrors] += errors[each]
				delete(errors, each)
			}
		}
	}
	return all
}
