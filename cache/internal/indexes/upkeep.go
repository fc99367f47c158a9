package indexes

import "sync"

// Upkeep decides when to trim an owner's index and extend its expiry: at the first entry
// of this process, and then at one in upkeepEvery entries. Each costs as much as the
// entry itself. The zero value is ready for use.
type Upkeep struct {
	mu      sync.Mutex
	entries map[string]int // since it was done last
}

const (
	upkeepEvery  = 16
	upkeepOwners = 10_000 // remembered
)

// Due reports whether the upkeep of the index of an owner is due with the present entry.
func (u *Upkeep) Due(owner string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	n, known := u.entries[owner]
	switch {
	case u.entries == nil:
		u.entries = map[string]int{}
	case !known && len(u.entries) >= upkeepOwners:
		clear(u.entries)
	}
	u.entries[owner] = (n + 1) % upkeepEvery
	return n == 0
}
