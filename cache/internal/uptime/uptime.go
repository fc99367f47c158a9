// Package uptime is a monotonic clock. A system clock that is set back or forward must
// not make old entries of a cache good again.
package uptime

import "time"

var start = time.Now()

// Now returns the time since the process started, in nanoseconds.
func Now() int64 { return int64(time.Since(start)) }
