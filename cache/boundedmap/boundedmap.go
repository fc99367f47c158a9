// Package boundedmap has concurrent maps of bounded size. New entries evict those that are
// used least.
//
// They use otter. In each package, the compiler generates otter's code again for each pair of
// key and value types, which takes seconds. So the code for the two key types of this project is
// compiled once, here, with values of any type.
package boundedmap

import "crypto/sha256"

// Hash is a SHA-256 sum.
type Hash = [sha256.Size]byte

// ByText is a map from texts to values of one type.
type ByText[V any] struct{ m entries[string] }

// NewByText returns a map with at most the given number of entries.
func NewByText[V any](entries int) ByText[V] {
	return ByText[V]{newByText(uint64(entries), nil)}
}

// NewWeighedByText returns a map whose entries have at most the given total weight.
func NewWeighedByText[V any](total uint64, weigh func(string, V) uint32) ByText[V] {
	return ByText[V]{newByText(total, func(key string, value any) uint32 { return weigh(key, value.(V)) })}
}

// Get returns the value of a key.
func (b ByText[V]) Get(key string) (V, bool) { return typed[V](b.m.get(key)) }

// Set gives a key a value.
func (b ByText[V]) Set(key string, value V) { b.m.set(key, value) }

// GetOrSet returns the value of a key, after setting it to the given one if there was none.
func (b ByText[V]) GetOrSet(key string, value V) V { return b.m.getOrSet(key, value).(V) }

// Delete removes a key.
func (b ByText[V]) Delete(key string) { b.m.delete(key) }

// Clear removes all keys.
func (b ByText[V]) Clear() { b.m.clear() }

// CleanUp evicts entries above the limit at once, not only soon.
func (b ByText[V]) CleanUp() { b.m.cleanUp() }

// ByHash is a map from hashes to values of one type.
type ByHash[V any] struct{ m entries[Hash] }

// NewByHash returns a map with at most the given number of entries.
func NewByHash[V any](entries int) ByHash[V] {
	return ByHash[V]{newByHash(uint64(entries))}
}

// Get returns the value of a key.
func (b ByHash[V]) Get(key Hash) (V, bool) { return typed[V](b.m.get(key)) }

// Set gives a key a value.
func (b ByHash[V]) Set(key Hash, value V) { b.m.set(key, value) }

// Delete removes a key.
func (b ByHash[V]) Delete(key Hash) { b.m.delete(key) }

// Clear removes all keys.
func (b ByHash[V]) Clear() { b.m.clear() }

func typed[V any](value any, ok bool) (V, bool) {
	if !ok {
		var none V
		return none, false
	}
	return value.(V), true
}
