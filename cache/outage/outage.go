// Package outage has the log tell of something that is lost and comes back, however
// often it is tried meanwhile.
package outage

import (
	"log/slog"
	"sync"
	"time"
)

// Part is something that can be lost. The log tells when that happens, once a minute
// while it lasts, and when it is over. A logger that leaves out what is below a warning
// tells the end too.
type Part struct {
	Log  *slog.Logger
	Lost string // what to say when it is lost, and what that means
	Back string // what to say when it is back

	mu    sync.Mutex
	begun time.Time // zero: it is there
	told  time.Time
}

const every = time.Minute

// Is tells how the part is now: lost for a reason, or there with nil.
func (o *Part) Is(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	switch {
	case err == nil && !o.begun.IsZero():
		o.Log.Warn(o.Back, "after", now.Sub(o.begun).Round(time.Second)) //nolint:sloglint // each part has its own sentences
		o.begun = time.Time{}
	case err == nil:
	case o.begun.IsZero():
		o.begun, o.told = now, now
		o.Log.Warn(o.Lost, "error", err) //nolint:sloglint // each part has its own sentences
	case now.Sub(o.told) >= every:
		o.told = now
		o.Log.Warn(o.Lost, "since", now.Sub(o.begun).Round(time.Second), "error", err) //nolint:sloglint // each part has its own sentences
	}
}
