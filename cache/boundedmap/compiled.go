package boundedmap

import "github.com/maypok86/otter/v2"

// entries are a map with keys of one type. Other packages see only this interface: if
// they saw otter's types, the compiler would generate its code again.
type entries[K comparable] interface {
	get(key K) (value any, ok bool)
	set(key K, value any)
	getOrSet(key K, value any) any
	delete(key K)
	clear()
	cleanUp()
}

// newByText and newByHash are not inlined for the same reason. They bound the number of
// entries or, if weigh is not nil, their weight.

//go:noinline
func newByText(limit uint64, weigh func(string, any) uint32) entries[string] {
	return compiled[string]{otter.Must(options(limit, weigh))}
}

//go:noinline
func newByHash(limit uint64) entries[Hash] {
	return compiled[Hash]{otter.Must(options[Hash](limit, nil))}
}

func options[K comparable](limit uint64, weigh func(K, any) uint32) *otter.Options[K, any] {
	if weigh == nil {
		return &otter.Options[K, any]{MaximumSize: int(limit)}
	}
	return &otter.Options[K, any]{MaximumWeight: limit, Weigher: weigh}
}

type compiled[K comparable] struct{ cache *otter.Cache[K, any] }

func (c compiled[K]) get(key K) (any, bool) { return c.cache.GetIfPresent(key) }

func (c compiled[K]) set(key K, value any) { c.cache.Set(key, value) }

func (c compiled[K]) getOrSet(key K, value any) any {
	kept, _ := c.cache.SetIfAbsent(key, value)
	return kept
}

func (c compiled[K]) delete(key K) { c.cache.Invalidate(key) }

func (c compiled[K]) clear() { c.cache.InvalidateAll() }

func (c compiled[K]) cleanUp() { c.cache.CleanUp() }
