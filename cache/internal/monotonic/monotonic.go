// Package monotonic is a monotonic clock, with a function for repeated work. A system clock that
// is set back or forward must not make old entries of a cache valid again.
package monotonic

import (
	"context"
	"time"
)

var start = time.Now()

// Now returns the time since the process started, in nanoseconds.
func Now() int64 { return int64(time.Since(start)) }

// Every calls f at once, and then once in each interval, until ctx ends. It returns nil.
func Every(ctx context.Context, interval time.Duration, f func()) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		f()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
