package httpapi

import (
	"slices"
	"sync"

	"statuscache/cache"
)

// hold is wait for a request that did not ask for it.
func (x *exchange) hold(arn cache.ARN, w waitOptions, r *cache.Record) error {
	g, caller := x.server.grace, x.caller.Bucket()
	if !g.enter(caller, arn) {
		return x.answer(r, waitOptions{}, nil)
	}
	err := x.detach(1, w.until(x.start), func(x *exchange) error {
		r, err := x.await(arn, w, r)
		g.leave(caller)
		return x.answer(r, w, err)
	})
	if x.waiter == nil && !x.moved { // too many wait
		g.leave(caller)
		return x.answer(r, waitOptions{}, nil)
	}
	return err
}

// Bounds of the arrival grace.
const (
	maxHeld       = 10_000
	maxHeldCaller = 500
)

// grace bounds the reads that are held because nothing is known yet of an
// execution, or not whose it is: anybody can make up the name of one.
type grace struct {
	machines []string // ours; empty: all

	mu      sync.Mutex
	count   int
	callers map[string]int
}

func newGrace(machines []string) *grace { return &grace{machines: machines, callers: map[string]int{}} }

// enter reports whether a read may be held. leave must be called then.
func (g *grace) enter(caller string, arn cache.ARN) bool {
	if !g.ours(arn) {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.count >= maxHeld || g.callers[caller] >= maxHeldCaller {
		return false
	}
	g.count++
	g.callers[caller]++
	return true
}

func (g *grace) ours(arn cache.ARN) bool {
	return len(g.machines) == 0 || slices.ContainsFunc(g.machines, arn.BelongsTo)
}

func (g *grace) leave(caller string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.count--
	if g.callers[caller]--; g.callers[caller] == 0 {
		delete(g.callers, caller)
	}
}
