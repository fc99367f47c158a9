package retryafter

import (
	"math"
	"sort"
	"time"
)

// Ends has the durations of the executions of a state machine.
type Ends interface {
	Count() int64
	Quantile(q float64) time.Duration
}

// Shortest and Longest are the shortest and longest Retry-After, in seconds.
const (
	Shortest = 1
	Longest  = 30
)

const (
	enough   = 100   // executions; with fewer, no plan is made
	points   = 400   // sample durations, which stand for all of them
	maxAsks  = 2_000 // polls in a plan
	nearly   = .56   // share of pollers for which both promises should be kept: more than half, as a margin
	possible = .25   // if even the best plan keeps the promises for a smaller share, they are given up
	dense    = 30    // seconds; if a tenth of the running executions end within them, polling every second is useful
	gap      = 8     // seconds; a longer time without an end is skipped
)

// Plan has the ages at which to poll, in whole seconds, ascending.
type Plan struct{ asks []int32 }

// New returns the plan for executions with these durations, nil if too little is known.
func New(e Ends) *Plan {
	if e.Count() < enough {
		return nil
	}
	d, others := sample(e, .25), sample(e, .75)          // a plan is made from some durations, so it is rated with others
	best, rating := d.plan(0, 0), rating{kept: possible} // the plan if executions take so long that two polls do not reach half of the ends
	for third := 2; third <= 2*Longest; third++ {
		p := d.plan(d.busiest(max(1, third-Longest), min(third-1, Longest)), third)
		if r := others.rate(p); r.better(rating) {
			best, rating = p, r
		}
	}
	return best
}

// After returns after how many seconds to poll again, for an execution of the given age.
func (p *Plan) After(age time.Duration) int {
	seconds := age.Seconds()
	i := sort.Search(len(p.asks), func(i int) bool { return float64(p.asks[i]) > seconds })
	if i == len(p.asks) {
		return clamp(seconds / 10) // the execution takes longer than all known ones
	}
	return clamp(math.Ceil(float64(p.asks[i]) - seconds))
}

func clamp(seconds float64) int { return int(min(max(seconds, Shortest), Longest)) }

// distribution has sample durations, in seconds, ascending.
type distribution []float64

func sample(e Ends, offset float64) distribution {
	d := make(distribution, points)
	for i := range d {
		d[i] = e.Quantile((float64(i) + offset) / points).Seconds()
	}
	return d
}

// ended returns how many have ended by an age.
func (d distribution) ended(age int) int {
	return sort.Search(len(d), func(i int) bool { return d[i] > float64(age) })
}

// busiest returns the age, from first to last, at the end of the second in which most
// executions end; 0 if there is none.
func (d distribution) busiest(first, last int) (age int) {
	most := -1
	for t := first; t <= last; t++ {
		if n := d.ended(t) - d.ended(t-1); n > most {
			age, most = t, n
		}
	}
	return age
}

// plan returns the plan whose first two polls are at the given ages; 0: no poll.
func (d distribution) plan(second, third int) *Plan {
	p, age := &Plan{}, 0
	for _, to := range []int{second, third} {
		for age < to {
			age = min(to, age+Longest)
			p.asks = append(p.asks, int32(age))
		}
	}
	for len(p.asks) < maxAsks {
		step := d.step(age)
		if step == 0 {
			break
		}
		age += step
		p.asks = append(p.asks, int32(age))
	}
	return p
}

// step returns after how many seconds to poll again after the first two polls, 0 when all
// executions have ended.
func (d distribution) step(age int) int {
	ended := d.ended(age)
	left := len(d) - ended
	if left == 0 {
		return 0
	}
	next, tenth := d[ended]-float64(age), d[ended+(left-1)/10]-float64(age) // until the next one, and until a tenth of them, has ended
	switch {
	case tenth > dense:
		return clamp(math.Ceil(tenth))
	case next > gap:
		return clamp(math.Ceil(next))
	}
	return Shortest
}

// rating is how well a plan works for the executions that it is tested with.
type rating struct {
	kept float64 // the share of pollers for which a promise is kept; of the two promises, the smaller share
	asks float64 // polls per execution, on average
}

func (r rating) better(o rating) bool {
	return r.kept > o.kept || r.kept == o.kept && r.asks < o.asks
}

func (d distribution) rate(p *Plan) rating {
	few, soon, asks := 0, 0, 0
	for i, end := range d {
		end -= float64(i%2) / 2 // a client begins within the first second
		n := sort.Search(len(p.asks), func(i int) bool { return float64(p.asks[i]) >= end })
		asks += n + 2 // the first was at the beginning
		if n+2 <= 3 {
			few++
		}
		if n < len(p.asks) && float64(p.asks[n])-end <= 1 {
			soon++
		}
	}
	n := float64(len(d))
	return rating{min(float64(few)/n, float64(soon)/n, nearly), float64(asks) / n}
}
