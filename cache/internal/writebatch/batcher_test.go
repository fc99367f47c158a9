package writebatch

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"statuscache/cache/cachetest"
	"statuscache/cache/internal/batchqueue"
)

// redis makes a round trip for each call.
type redis struct{ cachetest.RoundTrips }

func (r *redis) write(_ context.Context, writes []int) { r.Make(writes) }

func (r *redis) batcher() *Batcher[int] {
	return New(r.write, func(int) int { return 1000 }, time.Minute)
}

// TestConcurrentWritesShareACall: what comes while one is under way goes with the next, whole
// and in its order, and as much as fits.
func TestConcurrentWritesShareACall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &redis{cachetest.RoundTrips{Takes: time.Millisecond}}
		b := r.batcher()
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				cachetest.Pass(time.Duration(i))
				writes := make([]int, 10)
				for n := range writes {
					writes[n] = 10*i + n
				}
				if err := b.Do(t.Context(), writes); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		var sizes []int
		for _, call := range r.Begun() {
			sizes = append(sizes, len(call))
		}
		if !slices.Equal(sizes, []int{10, 120, 70}) || !slices.IsSorted(slices.Concat(r.Begun()...)) {
			t.Errorf("calls of %v: %v", sizes, r.Begun())
		}
	})
}

// TestASlowCallDelaysNobodyForLong: others begin beside it, a few at most.
func TestASlowCallDelaysNobodyForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &redis{cachetest.RoundTrips{Takes: time.Second}}
		b := r.batcher()
		begun := time.Now()
		var all sync.WaitGroup
		for i := range 6 {
			all.Go(func() {
				cachetest.Pass(time.Duration(i) * 2 * batchqueue.HelpAfter)
				_ = b.Do(t.Context(), []int{i})
			})
		}
		synctest.Wait()
		cachetest.Pass(20 * batchqueue.HelpAfter)
		if len(r.Begun()) != batchqueue.MaxWorkers {
			t.Errorf("%d calls are under way, want %d", len(r.Begun()), batchqueue.MaxWorkers)
		}
		all.Wait()
		if took := time.Since(begun); len(r.Begun()) != batchqueue.MaxWorkers+1 || took > 2*time.Second+time.Second/10 {
			t.Errorf("%d calls in %v", len(r.Begun()), took)
		}
	})
}

// TestACallerWhoGivesUp learns why, and takes back what has not begun.
func TestACallerWhoGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &redis{cachetest.RoundTrips{Takes: time.Second}}
		b := r.batcher()
		var all sync.WaitGroup
		for i := range batchqueue.MaxWorkers {
			all.Go(func() {
				cachetest.Pass(time.Duration(i) * 2 * batchqueue.HelpAfter)
				_ = b.Do(t.Context(), []int{i})
			})
		}
		cachetest.Pass(20 * batchqueue.HelpAfter)
		ctx, cancel := context.WithTimeout(t.Context(), batchqueue.HelpAfter)
		defer cancel()
		if err := b.Do(ctx, []int{99}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("given up with %v", err)
		}
		all.Wait()
		if slices.Contains(slices.Concat(r.Begun()...), 99) {
			t.Error("it was written all the same")
		}
	})
}

// TestACallOutlivesItsFirstCaller: those who share it are not to fail because he has gone.
func TestACallOutlivesItsFirstCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		b := New(func(ctx context.Context, _ []int) {
			<-ctx.Done()
			ended <- ctx.Err()
		}, func(int) int { return 0 }, time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if err := b.Do(ctx, []int{1}); !errors.Is(err, context.Canceled) {
			t.Errorf("the caller ends with %v", err)
		}
		begun := time.Now()
		if err := <-ended; !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Minute-time.Second {
			t.Errorf("the call ends with %v after %v", err, time.Since(begun))
		}
	})
}
