package cache

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"statuscache/cache/cachetest"
)

// TestWaitersInABlackHole is row 24: nothing reaches the subscription for eight
// seconds, and then its connection is cut. Everybody who waits is told within six
// seconds of the change, and nobody something older than before (row 40). In the
// control nothing is read again unheard of.
func TestWaitersInABlackHole(t *testing.T) {
	t.Parallel()
	const most = 6 * time.Second
	for name, protected := range map[string]bool{"protected": true, "control": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cachetest.Redis(t)
			var n network
			reader, writer := openIdle(t, s.URL(), through(&n)), openIdle(t, s.URL())
			if !protected {
				reader.feed.reset = func() {}
				reader.hub.outdated = func(context.Context, []*Record) []ARN { return nil }
			}
			runTest(t, reader)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			const waiters = 40
			var wg sync.WaitGroup
			var mu sync.Mutex
			changed := map[ARN]time.Time{}
			late := 0
			start := now()
			for i := range waiters {
				arn := testARN(t, fmt.Sprint("hole-", i))
				apply(t, writer, running(arn, start))
				watch := reader.Watch(arn)
				if err := watch.Read(ctx); err != nil {
					t.Fatal(err)
				}
				wg.Go(func() {
					defer watch.Close()
					var h versions
					h.add(t, watch.Records()[0].Version)
					for !watch.Records()[0].Terminal {
						if _, err := watch.Next(ctx, nil); err != nil {
							mu.Lock()
							late++
							mu.Unlock()
							return
						}
						h.add(t, watch.Records()[0].Version)
					}
					mu.Lock()
					defer mu.Unlock()
					if time.Since(changed[arn]) > most {
						late++
					}
				})
			}
			n.begin(blackHole)
			tick := time.NewTicker(8 * time.Second / waiters)
			defer tick.Stop()
			for i := range waiters {
				<-tick.C
				arn := testARN(t, fmt.Sprint("hole-", i))
				mu.Lock()
				changed[arn] = time.Now()
				mu.Unlock()
				apply(t, writer, succeeded(arn, start, "1"))
			}
			n.begin(func(c *faultyConn) (bool, error) { // the connection is killed
				if c.subscriber() {
					return false, c.Close()
				}
				return false, nil
			})
			wg.Wait()
			if (late == 0) != protected {
				t.Errorf("%d of %d waiters were told too late", late, waiters)
			}
		})
	}
}

// versions is what one client was told, in order (row 40).
type versions struct{ last Version }

func (h *versions) add(t *testing.T, v Version) {
	t.Helper()
	if v < h.last {
		t.Errorf("told %s after %s", v, h.last)
	}
	h.last = v
}

// TestACrowdCostsOneRead is row 26 with a real Redis: 5,000 wait for one
// execution, and then 5,000 come back.
func TestACrowdCostsOneRead(t *testing.T) {
	t.Parallel()
	c := openTest(t, cachetest.Redis(t).URL())
	const crowd = 5000
	arn, start := testARN(t, "hot"), now()
	apply(t, c, running(arn, start))
	since, err := c.Get(t.Context(), arn)
	if err != nil {
		t.Fatal(err)
	}
	for attempt := 1; attempt <= 3; attempt++ {
		var wg sync.WaitGroup
		var joined sync.WaitGroup
		told := make(chan *Record, crowd)
		for range crowd {
			joined.Add(1)
			wg.Go(func() {
				watch := c.Watch(arn)
				defer watch.Close()
				if err := watch.Read(t.Context()); err != nil {
					t.Error(err)
				}
				joined.Done()
				for watch.Records()[0].Version <= since.Version {
					if _, err := watch.Next(t.Context(), nil); err != nil {
						t.Error(err)
						return
					}
				}
				told <- watch.Records()[0]
			})
		}
		joined.Wait()
		before := calls(t, c, "mget")
		again := running(arn, start)
		again.RedriveCount = attempt
		apply(t, c, again)
		wg.Wait()
		if reads := calls(t, c, "mget") - before; reads > 2 {
			t.Errorf("%d reads for %d waiters", reads, crowd)
		}
		if since = <-told; since.Version.redriveCount() != attempt {
			t.Errorf("told of attempt %d, want %d", since.Version.redriveCount(), attempt)
		}
	}
	before := calls(t, c, "mget") // the control: ten that each read for themselves
	for range 10 {
		c.near.forget(arn)
		if _, err := c.Get(t.Context(), arn); err != nil {
			t.Fatal(err)
		}
	}
	if reads := calls(t, c, "mget") - before; reads != 10 {
		t.Errorf("%d reads by ten who share none: the count cannot be trusted", reads)
	}
}
