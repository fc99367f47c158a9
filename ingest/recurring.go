package ingest

import (
	"log/slog"
	"sync"
	"time"
)

// recurring logs a failure that is met again and again: once when it begins, once a
// minute while it lasts, and once when it is over.
type recurring struct {
	log        *slog.Logger
	text, over string // of the lines

	mu     sync.Mutex
	logged time.Time // the latest line that it fails
	open   bool      // no line has said yet that it is over
}

// is notes how it went; nil: well.
func (r *recurring) is(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch now := time.Now(); {
	case err == nil && r.open:
		r.log.Warn(r.over) //nolint:sloglint // the text of each is constant
		r.open = false
	case err != nil && now.Sub(r.logged) >= loggedEvery:
		r.log.Warn(r.text, "error", err) //nolint:sloglint // likewise
		r.logged, r.open = now, true
	}
}
