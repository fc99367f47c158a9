package lists

import (
	"sync/atomic"

	"statuscache/cache"
	"statuscache/cache/bounded"
	"statuscache/cache/flight"
	"statuscache/cache/internal/redisdb"
)

// Reader reads lists and counts. Its methods can be called concurrently. Run makes counts
// faster; everything else works without it.
type Reader struct {
	cache *cache.Cache
	db    *redisdb.DB

	counts   bounded.ByText[countsAt] // of the last second, by owner
	counting flight.Group[Counts]
	recents  recents
	// requested is when the counts of all owners were last requested, by uptime.
	requested atomic.Int64
}

// NewReader returns a Reader of the executions in a cache.
func NewReader(c *cache.Cache) *Reader {
	return &Reader{cache: c, db: c.DB(), counts: bounded.NewByText[countsAt](countsOwners), recents: recents{wholeEvery: wholeEvery}}
}
