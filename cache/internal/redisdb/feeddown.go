package redisdb

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"statuscache/cache/internal/monotonic"
)

// quiet records since when the change feed of Redis does not work.
type quiet struct{ since atomic.Int64 } // by the monotonic clock; 0: it works

func (q *quiet) begin() { q.since.CompareAndSwap(0, max(monotonic.Now(), 1)) }
func (q *quiet) end()   { q.since.Store(0) }

// lasts returns how long it has not worked.
func (q *quiet) lasts() time.Duration {
	if since := q.since.Load(); since > 0 {
		return time.Duration(monotonic.Now() - since)
	}
	return 0
}

// feedError is the error for a change feed that does not work: for how long, and why.
type feedError struct {
	lasts time.Duration
	cause error
}

func (e *feedError) Error() string { return "change feed: " + e.cause.Error() }
func (e *feedError) Unwrap() error { return e.cause }

// Public returns the text for the public: it names no address and no user.
func (e *feedError) Public() string {
	brief, fix := "Redis does not answer", "check that Redis runs and that statusd can reach the address in REDIS_URL"
	switch {
	case errors.Is(e.cause, errStarting):
		brief = "the connection to Redis is not up yet"
	case !Unreachable(e.cause):
		brief, _ = Explain(e.cause)
		fix = "the log of statusd says what to do"
	}
	since := time.Now().Add(-e.lasts).UTC().Format(time.RFC3339)
	return fmt.Sprintf("not available for %v, since %s: %s; %s", e.lasts.Round(time.Second), since, brief, fix)
}
