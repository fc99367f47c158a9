package fairness

import (
	"sync/atomic"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"
)

// Pool is a limited resource of a process, such as places for requests or bytes for
// bodies. Holders share it: one holder alone may have a part of it, several holders get
// less each, and something is left for the next one.
type Pool struct {
	limit int64
	greed int64 // a holder may have this multiple of what is left for all others
	index int   // index at which a holder counts its share
	taken atomic.Int64
}

// Take takes n for a holder, or nothing. A holder that has nothing yet may take all that
// is left.
func (p *Pool) Take(h *Holder, n int64) bool {
	total, own := p.taken.Add(n), h.held[p.index].Add(n)
	if p.fair(total, own-n) {
		return true
	}
	p.Give(h, n)
	return false
}

// InUse returns how much is taken.
func (p *Pool) InUse() int64 { return p.taken.Load() }

func (p *Pool) fair(total, before int64) bool {
	return total <= p.limit && before <= p.greed*(p.limit-total)
}

// Give gives n back.
func (p *Pool) Give(h *Holder, n int64) {
	h.held[p.index].Add(-n)
	p.taken.Add(-n)
}

// Pass moves n from one holder to another, or changes nothing.
func (p *Pool) Pass(from, to *Holder, n int64) bool {
	if own := to.held[p.index].Add(n); !p.fair(p.taken.Load(), own-n) {
		to.held[p.index].Add(-n)
		return false
	}
	from.held[p.index].Add(-n)
	return true
}

// How much of a pool one holder alone may have.
const (
	Evenly = 1 // half of it
	Nearly = 3 // three quarters: one caller may send requests on behalf of many users
)

// Pools are the pools of a process. All are made before the first holder.
type Pools struct{ count int }

// New returns a pool of the given size. greed is Evenly or Nearly.
func (p *Pools) New(limit, greed int64) *Pool {
	p.count++
	return &Pool{limit: limit, greed: greed, index: p.count - 1}
}

// NewHolder returns a holder that has nothing yet. Its sets and batches may read reads
// executions at once.
func (p *Pools) NewHolder(bucket *rate.Limiter, reads int64) *Holder {
	return &Holder{held: make([]atomic.Int64, p.count), Bucket: bucket, Reads: semaphore.NewWeighted(reads)}
}
