package worklist

import (
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"statuscache/cache/cachetest"
	"statuscache/cache/internal/redisdb"
)

// inBubble opens the Redis of a bubble, with the limits of production.
func inBubble(t *testing.T, b *cachetest.Bubble) *redisdb.DB {
	t.Helper()
	var n cachetest.Network
	b.Join(&n)
	db, err := redisdb.Open(redisdb.Options{URL: cachetest.BubbleURL, Prefix: "sc", Log: slog.New(slog.DiscardHandler), Dial: n.Dial})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return db
}

// TestABudgetReturnsWhenToCall by the clock.
func TestABudgetReturnsWhenToCall(t *testing.T) {
	t.Parallel()
	cachetest.InBubble(t, func(t *testing.T, b *cachetest.Bubble) {
		budget := NewBudget(inBubble(t, b), "times", 2)
		for _, want := range []time.Duration{0, 500 * time.Millisecond, time.Second} {
			if wait, ok, err := budget.Take(t.Context()); wait != want || !ok || err != nil {
				t.Errorf("booked after %v, %v, %v; want %v", wait, ok, err, want)
			}
		}
		if wait, ok, err := budget.Take(t.Context()); ok || err != nil {
			t.Errorf("booked too far ahead, after %v, %v", wait, err)
		}
	})
}

// apart returns the time between two calls that are booked now.
func apart(t *testing.T, b *Budget) time.Duration {
	t.Helper()
	var booked []time.Time
	for len(booked) < 2 {
		at, wait, ok, err := b.book(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			booked = append(booked, at)
		}
		cachetest.Pass(wait)
	}
	return booked[1].Sub(booked[0])
}

func throttled(t *testing.T, b *Budget) {
	t.Helper()
	if _, err := b.Throttled(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func passed(t *testing.T, b *Budget) {
	t.Helper()
	if err := b.Passed(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestAThrottleHalvesTheRate, calls that pass bring it back bit by bit, and it is never
// below a call in two seconds, or what it is at best where that is less.
func TestAThrottleHalvesTheRate(t *testing.T) {
	t.Parallel()
	cachetest.InBubble(t, func(t *testing.T, b *cachetest.Bubble) {
		db := inBubble(t, b)
		budget, other := NewBudget(db, "hydrate", 5), NewBudget(db, "describe", 2)
		within := func(what string, b *Budget, want time.Duration) {
			t.Helper()
			if got := apart(t, b); got < want-2*time.Millisecond || got > want+2*time.Millisecond {
				t.Errorf("%s: a call each %v, want %v", what, got, want)
			}
		}
		within("at first", budget, 200*time.Millisecond)
		for range 5 { // they were under way together
			throttled(t, budget)
		}
		within("throttled", budget, 400*time.Millisecond)
		within("another budget", other, 500*time.Millisecond)
		for range 4 {
			passed(t, budget)
		}
		within("four calls passed", budget, 200*time.Millisecond*10/7)
		for range 20 {
			passed(t, budget)
		}
		within("many passed", budget, 200*time.Millisecond)
		for range 100 { // nothing passes
			throttled(t, budget)
			cachetest.Pass(time.Second)
		}
		within("nothing passes", budget, 2*time.Second)
		rare := NewBudget(db, "rare", 0.1)
		throttled(t, rare)
		cachetest.Pass(10 * time.Second)
		within("one that is slower at best", rare, 10*time.Second)
	})
}

// TestAwaitedOutputsArriveThoughHalfOfTheCallsAreThrottled: a hundred, five calls a
// second, within a minute. In the control nothing passes.
func TestAwaitedOutputsArriveThoughHalfOfTheCallsAreThrottled(t *testing.T) {
	t.Parallel()
	const outputs, deadline = 100, time.Minute
	for name, test := range map[string]struct {
		throttles func(call int) bool
		want      int
	}{
		"every second call":    {func(call int) bool { return call%2 == 1 }, outputs},
		"two of four in a row": {func(call int) bool { return call%4 < 2 }, outputs},
		"control: every call":  {func(int) bool { return true }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cachetest.InBubble(t, func(t *testing.T, b *cachetest.Bubble) {
				db := inBubble(t, b)
				budgets := []*Budget{NewBudget(db, "hydrate", 5), NewBudget(db, "hydrate", 5)} // of two processes
				lot := rand.New(rand.NewPCG(1, 2))
				begun, calls, arrived := time.Now(), 0, 0
				var mu sync.Mutex
				var wg sync.WaitGroup
				for i := range outputs {
					wg.Go(func() {
						for budget := budgets[i%2]; time.Since(begun) < deadline; {
							mu.Lock() // or the bubble would wait for the pool of connections
							wait, ok, err := budget.Take(t.Context())
							mu.Unlock()
							if err != nil {
								t.Error(err)
								return
							}
							cachetest.Pass(wait)
							mu.Lock()
							pause := time.Second + time.Duration(lot.Int64N(int64(time.Second))) // as the Hydrator does
							refused := false
							if ok {
								calls++
								if refused = test.throttles(calls); refused {
									throttled(t, budget)
								} else {
									passed(t, budget)
									arrived++
								}
							}
							mu.Unlock()
							if ok && !refused {
								return
							}
							cachetest.Pass(pause)
						}
					})
				}
				wg.Wait()
				if arrived != test.want {
					t.Errorf("%d of %d arrived, after %d calls", arrived, outputs, calls)
				}
				t.Logf("%d arrived after %d calls in %v", arrived, calls, time.Since(begun))
			})
		})
	}
}

// TestABudgetIsSharedByAll: however many processes call, two calls are as far apart as
// the rate says.
func TestABudgetIsSharedByAll(t *testing.T) {
	t.Parallel()
	url := cachetest.Redis(t).URL()
	const processes, each, every = 8, 2, 50 * time.Millisecond
	booked := make(chan time.Time, processes*each)
	var all []*Budget
	for range processes {
		all = append(all, NewBudget(openIdle(t, url).db, "shared", float64(time.Second/every)))
	}
	var wg sync.WaitGroup
	for _, b := range all {
		wg.Go(func() {
			for range each {
				at, _, ok, err := b.book(t.Context())
				if !ok || err != nil {
					t.Errorf("%v, %v", ok, err)
				}
				booked <- at
			}
		})
	}
	wg.Wait()
	close(booked)
	var calls []time.Time
	for at := range booked {
		calls = append(calls, at)
	}
	slices.SortFunc(calls, time.Time.Compare)
	for i := range calls[1:] {
		if apart := calls[i+1].Sub(calls[i]); apart < every {
			t.Errorf("calls %d and %d are %v apart", i, i+1, apart)
		}
	}
}
