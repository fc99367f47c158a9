package lists

import (
	"sync/atomic"

	"statuscache/cache"
	"statuscache/cache/boundedmap"
	"statuscache/cache/internal/redisdb"
	"statuscache/cache/singleflight"
)

// Reader reads lists and counts. Its methods can be called concurrently. Run makes counts
// faster; everything else works without it.
type Reader struct {
	cache *cache.Cache
	db    *redisdb.DB

	counts   boundedmap.ByText[countsAt] // of the last second, by owner
	counting singleflight.Group[Counts]
	recents  *recents                    // of all owners
	owned    boundedmap.ByText[*recents] // of those that asked last, by owner
	begun    atomic.Bool                 // Run has counted
	machines atomic.Pointer[machines]    // that were known within the last second
	// requested is when the counts of all owners were last requested, by the monotonic clock.
	requested atomic.Int64
}

// Begun reports whether Run has tried to count for the first time, which takes longer than
// later.
func (r *Reader) Begun() bool { return r.begun.Load() }

// NewReader returns a Reader of the executions in a cache.
func NewReader(c *cache.Cache) *Reader {
	return &Reader{
		cache: c, db: c.DB(), counts: boundedmap.NewByText[countsAt](countsOwners),
		recents: newRecents(c.DB(), completeEvery, recentKeys(c.DB().Names)...), owned: boundedmap.NewByText[*recents](ownersRead),
	}
}
