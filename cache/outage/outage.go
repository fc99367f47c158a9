// Package outage logs that something was lost and came back, however often it is tried
// meanwhile.
package outage

import (
	"log/slog"
	"sync"
	"time"
)

// Part is something that can be lost. It logs when that happens, once a minute while it
// lasts, and when it is over. All of these are warnings, so LOG_LEVEL=warn shows the end too.
type Part struct {
	Log  *slog.Logger
	Lost string // what to say when it is lost, and what that means
	Back string // what to say when it is back

	mu     sync.Mutex
	begun  time.Time // zero: it is there
	logged time.Time
}

const every = time.Minute

// Is reports how the part is now: lost for a reason, or there with nil.
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
		o.begun, o.logged = now, now
		o.Log.Warn(o.Lost, "error", err) //nolint:sloglint // each part has its own sentences
	case now.Sub(o.logged) >= every:
		o.logged = now
		o.Log.Warn(o.Lost, "since", now.Sub(o.begun).Round(time.Second), "error", err) //nolint:sloglint // each part has its own sentences
	}
}
