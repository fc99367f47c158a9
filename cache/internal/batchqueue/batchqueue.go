// Package batchqueue combines the requests of many callers into few round trips to Redis.
package batchqueue

import (
	"slices"
	"sync"
	"time"
)

// HelpAfter is how long the oldest item may wait for a round trip until another one is
// considered.
const HelpAfter = 10 * time.Millisecond

// MaxWorkers is how many round trips of a Queue are in progress at once, if they are slow.
const MaxWorkers = 4

// Queue has the items that wait for a round trip. While one is in progress, new items are
// collected and share the next one: the more items there are, the less each costs. Another
// round trip starts only if the first is slow.
type Queue[T any] struct {
	// Run makes the round trip of some items.
	Run func([]T)
	// Fit returns how many of the waiting items one round trip takes, at least one.
	Fit func(waiting []T) int
	// Late reports whether an item has waited so long that another round trip starts.
	Late func(T) bool

	mu      sync.Mutex
	waiting []T // oldest first
	workers int
	watched bool // help will be called
}

// Add starts items and reports whether it did. It starts none if more than most items would wait
// then; 0: any number may wait.
func (q *Queue[T]) Add(most int, items ...T) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if most > 0 && len(q.waiting)+len(items) > most {
		return false
	}
	q.waiting = append(q.waiting, items...)
	switch {
	case q.workers == 0:
		q.workers++
		go q.drain()
	case !q.watched:
		q.watched = true
		time.AfterFunc(HelpAfter, q.help)
	}
	return true
}

// Drop removes the first item that is accepted, unless its round trip has begun.
func (q *Queue[T]) Drop(accepted func(T) bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.IndexFunc(q.waiting, accepted); i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
}

// help adds a worker if the oldest item is late.
func (q *Queue[T]) help() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.watched = false
	if len(q.waiting) == 0 {
		return
	}
	if q.workers < MaxWorkers && q.Late(q.waiting[0]) {
		q.workers++
		go q.drain()
		return
	}
	q.watched = true
	time.AfterFunc(HelpAfter, q.help)
}

// drain makes round trips until nothing is waiting.
func (q *Queue[T]) drain() {
	for {
		items := q.next()
		if items == nil {
			return
		}
		q.Run(items)
	}
}

// next takes the items of the next round trip. If it returns nil, the worker is done.
func (q *Queue[T]) next() []T {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.workers--
		return nil
	}
	n := q.Fit(q.waiting)
	items := q.waiting[:n:n]
	if q.waiting = q.waiting[n:]; len(q.waiting) == 0 {
		q.waiting = nil
	}
	return items
}
