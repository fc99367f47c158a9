package record

import (
	"hash/maphash"
	"sync/atomic"
)

// interned has texts that many records share. Each has its place by its hash, and takes it from
// the text that was there, so the table is bounded.
var (
	interned   [1 << 10]atomic.Pointer[string]
	internSeed = maphash.MakeSeed()
)

// Intern returns a text, for many calls the same copy. Package unique never keeps two copies,
// but its lookups wait for the end of a garbage collection.
func Intern(text string) string {
	place := &interned[maphash.String(internSeed, text)%uint64(len(interned))]
	if known := place.Load(); known != nil && *known == text {
		return *known
	}
	kept := text
	place.Store(&kept)
	return kept
}
