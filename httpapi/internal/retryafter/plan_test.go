package retryafter

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// observed are run times, ascending.
type observed []time.Duration

func (o observed) Count() int64 { return int64(len(o)) }

func (o observed) Quantile(q float64) time.Duration {
	return o[min(int(q*float64(len(o))), len(o)-1)]
}

// draw returns run times of a shape.
func draw(shape func(*rand.Rand) float64, n int, r *rand.Rand) observed {
	all := make(observed, n)
	for i := range all {
		all[i] = time.Duration(max(shape(r), .05) * float64(time.Second))
	}
	slices.Sort(all)
	return all
}

func normal(mean, deviation float64) func(*rand.Rand) float64 {
	return func(r *rand.Rand) float64 { return mean + deviation*r.NormFloat64() }
}

func lognormal(median, sigma float64) func(*rand.Rand) float64 {
	return func(r *rand.Rand) float64 { return median * math.Exp(sigma*r.NormFloat64()) }
}

// either has the first shape in a part of the cases, and the second in the others.
func either(part float64, first, second func(*rand.Rand) float64) func(*rand.Rand) float64 {
	return func(r *rand.Rand) float64 {
		if r.Float64() < part {
			return first(r)
		}
		return second(r)
	}
}

// poll has a client poll an execution, and returns how often it asked and how late it
// learned of the end.
func poll(t *testing.T, after func(age time.Duration) int, end, first time.Duration) (asks int, late time.Duration) {
	t.Helper()
	for age := first; ; asks++ {
		if age >= end {
			return asks + 1, age - end
		}
		wait := after(age)
		if wait < Shortest || wait > Longest {
			t.Fatalf("at %v: wait %d s", age, wait)
		}
		age += time.Duration(wait) * time.Second
	}
}

func median[T int | time.Duration](all []T) T {
	slices.Sort(all)
	return all[len(all)/2]
}

// shapes are how long executions take, in seconds.
var shapes = map[string]func(*rand.Rand) float64{
	"narrow":                    normal(25, 1.5),
	"narrow and quick":          normal(9, .4),
	"narrow and near the bound": normal(55, 2),
	"long-tailed":               lognormal(20, .8),
	"without a typical time":    func(r *rand.Rand) float64 { return 20 * r.ExpFloat64() },
	"with a heavy tail":         func(r *rand.Rand) float64 { return 10 * math.Pow(1-r.Float64(), -1/1.5) },
	"two humps":                 either(.6, normal(6, .6), normal(40, 2)),
	"two humps that are near":   either(.4, normal(8, 1), normal(20, 2)),
}

// TestPollersSendFewRequestsAndSeeTheEndSoon simulates clients that honour Retry-After, on plans
// made from other executions of the same shape. The control polls at fixed steps.
func TestPollersSendFewRequestsAndSeeTheEndSoon(t *testing.T) {
	t.Parallel()
	const known, polled = 4000, 4000
	for name, shape := range shapes {
		r := rand.New(rand.NewPCG(12, 2026))
		p := New(draw(shape, known, r))
		simulate := func(after func(time.Duration) int) (asks []int, late []time.Duration) {
			for _, end := range draw(shape, polled, r) {
				a, l := poll(t, after, end, time.Duration(r.Int64N(int64(500*time.Millisecond))))
				asks, late = append(asks, a), append(late, l)
			}
			return asks, late
		}
		asks, late := simulate(p.After)
		if a, l := median(asks), median(late); a > 3 || l > time.Second {
			t.Errorf("%s: half of the clients ask more than %d times or are more than %v late", name, a, l)
		}
		if asks, late := simulate(func(time.Duration) int { return 2 }); median(asks) <= 3 && median(late) <= time.Second {
			t.Errorf("%s: the control does as well", name)
		}
	}
}

// TestLongExecutionsAreNotPolledEachSecond, except when their end is likely.
func TestLongExecutionsAreNotPolledEachSecond(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		shape func(*rand.Rand) float64
		asks  int // at most, on average
		late  time.Duration
	}{
		"narrow":     {normal(600, 5), 45, time.Second},
		"all around": {lognormal(600, 1), 60, Longest * time.Second},
		"hours":      {normal(4*3600, 60), 700, 2 * time.Second},
	} {
		r := rand.New(rand.NewPCG(1, 2))
		p := New(draw(test.shape, 2000, r))
		sum := 0
		var late []time.Duration
		for _, end := range draw(test.shape, 500, r) {
			asks, l := poll(t, p.After, end, 0)
			sum, late = sum+asks, append(late, l)
		}
		if mean := sum / 500; mean > test.asks || median(late) > test.late {
			t.Errorf("%s: %d asks, %v late", name, mean, median(late))
		}
	}
}

func TestTooFewExecutionsGiveNoPacing(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	if New(draw(normal(25, 1), enough-1, r)) != nil {
		t.Error("a plan of too few")
	}
	if New(draw(normal(25, 1), enough, r)) == nil {
		t.Error("no plan of enough")
	}
}

// TestEveryAgeHasAWaitWithinTheBounds, also those that no execution has had, and that no
// clock should show.
func TestEveryAgeHasAWaitWithinTheBounds(t *testing.T) {
	t.Parallel()
	all := map[string]observed{"at once": make(observed, 200), "huge": draw(func(*rand.Rand) float64 { return 1e9 }, 200, rand.New(rand.NewPCG(1, 2)))}
	for name, shape := range shapes {
		all[name] = draw(shape, 200, rand.New(rand.NewPCG(1, 2)))
	}
	for name, ends := range all {
		p := New(ends)
		if len(p.asks) > maxAsks+4 || !slices.IsSorted(p.asks) {
			t.Errorf("%s: %d asks", name, len(p.asks))
		}
		for _, age := range []time.Duration{math.MinInt64, -time.Hour, -time.Nanosecond, 0, 1, time.Second - 1, time.Second, 29 * time.Second, time.Minute, time.Hour, 300 * 24 * time.Hour, math.MaxInt64} {
			if wait := p.After(age); wait < Shortest || wait > Longest {
				t.Errorf("%s: at %v: %d s", name, age, wait)
			}
		}
	}
}

func TestPacingAllocatesNothing(t *testing.T) {
	p := New(draw(shapes["long-tailed"], 200, rand.New(rand.NewPCG(1, 2))))
	if n := testing.AllocsPerRun(100, func() { p.After(17 * time.Second) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkNew(b *testing.B) {
	ends := draw(shapes["long-tailed"], 4000, rand.New(rand.NewPCG(1, 2)))
	for b.Loop() {
		New(ends)
	}
}
