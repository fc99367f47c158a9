// Package outage logs the begin and the end of an outage, independent of the number of
// attempts in between.
package outage

import (
	"log/slog"
	"sync"
	"time"
)

// Part is something that can fail. It logs when an outage begins, once a minute while it
// lasts, and when it ends. All of these lines are warnings, so that LOG_LEVEL=warn shows the
// end too.
type Part struct {
	Log  *slog.Logger
	Lost string // log line for the begin: the failure, and its effect
	Back string // log line for the end

	mu     sync.Mutex
	begun  time.Time // zero: it works
	logged time.Time
}

const every = time.Minute

// Is sets the state of the part: failed with err, or working with nil.
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
