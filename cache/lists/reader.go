package lists

import (
	"statuscache/cache"
	"statuscache/cache/bounded"
	"statuscache/cache/flight"
	"statuscache/cache/internal/redisdb"
)

// Reader reads lists and counts. Its methods can be called concurrently.
type Reader struct {
	cache *cache.Cache
	db    *redisdb.DB

	counts   bounded.ByText[countsAt] // of the last second, by owner
	counting flight.Group[Counts]
	recents  recents
}

// NewReader returns a Reader of the executions in a cache.
func NewReader(c *cache.Cache) *Reader {
	return &Reader{cache: c, db: c.DB(), counts: bounded.NewByText[countsAt](countsOwners), recents: recents{wholeEvery: wholeEvery}}
}
