package httpapi

import (
	"slices"
	"sync"

	"statuscache/cache"
)

// hold lets a request for an unknown execution wait for the first event, even if the
// request has no wait option.
func (x *exchange) hold(arn cache.ARN, w waitOptions, r *cache.Record) error {
	g, caller := x.server.grace, x.caller.Bucket()
	if !g.enter(caller, arn) {
		return x.answer(r, waitOptions{view: w.view}, nil)
	}
	p := &longPoll{arn: arn, options: w, before: func() { g.leave(caller) }}
	err := x.wait(1, w.until(x.start), p.step)
	if x.waiter == nil { // too many wait
		g.leave(caller)
		return x.answer(r, waitOptions{view: w.view}, nil)
	}
	return err
}

// How many requests may be held, in total and of one caller.
const (
	maxHeld       = 10_000
	maxHeldCaller = 500
)

// grace limits the number of reads that are held because an execution or its owner is not
// known yet: anyone can invent the name of an execution.
type grace struct {
	machines []string // of this service; empty: all

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
