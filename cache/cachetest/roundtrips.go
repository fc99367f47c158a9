package cachetest

import (
	"slices"
	"sync"
	"time"
)

// RoundTrips records round trips. Each takes a time by the clock of a bubble.
type RoundTrips struct {
	Takes time.Duration

	mu    sync.Mutex
	begun [][]int
}

// Make makes a round trip with items.
func (r *RoundTrips) Make(items []int) {
	r.mu.Lock()
	r.begun = append(r.begun, slices.Clone(items))
	r.mu.Unlock()
	Pass(r.Takes)
}

// Begun returns the items of each round trip that has begun.
func (r *RoundTrips) Begun() [][]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.begun)
}
