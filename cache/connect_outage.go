package cache

import (
	"log/slog"
	"sync"
	"time"
)

// outage tells the log when a part is lost, once a minute while it is, and when it is
// back, and nothing else however often it is tried.
type outage struct {
	log  *slog.Logger
	lost string // what to say when it is lost, and what that means
	back string

	mu    sync.Mutex
	begun time.Time // zero: it is there
	told  time.Time
}

const outageEvery = time.Minute

// is tells how the part is now: lost for a reason, or there with nil.
func (o *outage) is(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	switch {
	case err == nil && !o.begun.IsZero():
		o.log.Info(o.back, "after", now.Sub(o.begun).Round(time.Second)) //nolint:sloglint // each part has its own sentences
		o.begun = time.Time{}
	case err == nil:
	case o.begun.IsZero():
		o.begun, o.told = now, now
		o.log.Warn(o.lost, "error", err) //nolint:sloglint // each part has its own sentences
	case now.Sub(o.told) >= outageEvery:
		o.told = now
		o.log.Warn(o.lost, "since", now.Sub(o.begun).Round(time.Second), "error", err) //nolint:sloglint // each part has its own sentences
	}
}
