package batchqueue

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"statuscache/cache/cachetest"
)

func queueOf(r *cachetest.RoundTrips, late bool) *Queue[int] {
	return &Queue[int]{Run: r.Make, Fit: func(waiting []int) int { return min(len(waiting), 3) }, Late: func(int) bool { return late }}
}

// TestItemsShareRoundTrips, in their order and as many as fit, while one is in progress.
func TestItemsShareRoundTrips(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &cachetest.RoundTrips{Takes: time.Second}
		q := queueOf(r, false)
		q.Add(0, 0)
		synctest.Wait()
		for i := range 5 {
			q.Add(0, i+1)
		}
		cachetest.Pass(10 * time.Second)
		if got, want := r.Begun(), [][]int{{0}, {1, 2, 3}, {4, 5}}; !slices.EqualFunc(got, want, slices.Equal) {
			t.Errorf("%v, want %v", got, want)
		}
	})
}

// TestMoreRoundTripsStartOnlyIfOneIsSlow, up to MaxWorkers.
func TestMoreRoundTripsStartOnlyIfOneIsSlow(t *testing.T) {
	t.Parallel()
	for late, want := range map[bool]int{false: 1, true: MaxWorkers} {
		synctest.Test(t, func(t *testing.T) {
			r := &cachetest.RoundTrips{Takes: 10 * time.Second}
			q := queueOf(r, late)
			for i := range 10 * MaxWorkers {
				q.Add(0, i)
				cachetest.Pass(2 * HelpAfter)
			}
			if got := len(r.Begun()); got != want {
				t.Errorf("late: %v, %d round trips, want %d", late, got, want)
			}
			cachetest.Pass(time.Minute * 10)
		})
	}
}

// TestItemsBeyondTheBoundAreRefused, all or none; one that is removed frees space.
func TestItemsBeyondTheBoundAreRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &cachetest.RoundTrips{Takes: time.Second}
		q := queueOf(r, false)
		q.Add(0, 0)
		synctest.Wait()
		if !q.Add(3, 1, 2) || q.Add(3, 3, 4) || !q.Add(3, 5) || q.Add(3, 6) {
			t.Error("the bound is another one")
		}
		q.Drop(func(i int) bool { return i == 2 })
		q.Drop(func(i int) bool { return i == 0 }) // in progress
		if !q.Add(3, 7) {
			t.Error("a removed item still takes space")
		}
		cachetest.Pass(10 * time.Second)
		if got, want := r.Begun(), [][]int{{0}, {1, 5, 7}}; !slices.EqualFunc(got, want, slices.Equal) {
			t.Errorf("%v, want %v", got, want)
		}
	})
}
