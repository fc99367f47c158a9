package ingest

import (
	"slices"
	"sync"
	"time"
)

// maxAges is how many of the latest events eventAges remembers.
const maxAges = 1024

// eventAges has the ages of the latest events at the time when they were applied.
type eventAges struct {
	mu   sync.Mutex
	ages []time.Duration
	next int // index of the next one, once there are maxAges
}

func (a *eventAges) add(age time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.ages) < maxAges {
		a.ages = append(a.ages, age)
		return
	}
	a.ages[a.next] = age
	a.next = (a.next + 1) % maxAges
}

// quantiles returns the median, the 99th percentile and the maximum of the ages; ok is
// false if there are none.
func (a *eventAges) quantiles() (p50, p99, most time.Duration, ok bool) {
	a.mu.Lock()
	sorted := slices.Sorted(slices.Values(a.ages))
	a.mu.Unlock()
	n := len(sorted)
	if n == 0 {
		return 0, 0, 0, false
	}
	return sorted[n/2], sorted[n*99/100], sorted[n-1], true
}

// EventAges returns the median, the 99th percentile and the maximum age of the latest 1,024
// events. The age is that at which an event became the state that the API reports. ok is false
// before the first event.
func (c *Consumer) EventAges() (p50, p99, most time.Duration, ok bool) {
	return c.metrics.ages.quantiles()
}
