package changes

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"statuscache/cache"
	"statuscache/cache/cachetest"
)

// TestWaitersInABlackHole: nothing reaches the subscription for eight
// seconds, and then its connection is cut. Every waiting client is notified within six
// seconds of the change, and nobody something older than before. In the
// control nothing is read again unheard of.
func TestWaitersInABlackHole(t *testing.T) {
	t.Parallel()
	const most = 6 * time.Second
	for name, protected := range map[string]bool{"protected": true, "control": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cachetest.InBubble(t, func(t *testing.T, b *cachetest.Bubble) {
				var n cachetest.Network
				reader, writer := openBubble(t, b, &n), openBubble(t, b, new(cachetest.Network))
				if !protected {
					for i := range reader.DB().Feed.Listeners {
						reader.DB().Feed.Listeners[i].Reset = func() {}
					}
					reader.outdated = func(context.Context, []*cache.Record) []cache.ARN { return nil }
				}
				reader.run(t)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				const waiters = 40
				var wg sync.WaitGroup
				var mu sync.Mutex
				changed := map[cache.ARN]time.Time{}
				late := 0
				start := now()
				for i := range waiters {
					arn := testARN(t, fmt.Sprint("hole-", i))
					writer.apply(t, running(arn, start))
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
				n.Begin(cachetest.BlackHole)
				for i := range waiters {
					arn := testARN(t, fmt.Sprint("hole-", i))
					mu.Lock()
					changed[arn] = time.Now()
					mu.Unlock()
					writer.apply(t, succeeded(arn, start, "1"))
					cachetest.Pass(8 * time.Second / waiters)
				}
				n.Begin(func(c *cachetest.Conn) (bool, error) { // the connection is killed
					if c.Subscriber() {
						return false, c.Close()
					}
					return false, nil
				})
				wg.Wait()
				if want := map[bool]int{true: 0, false: waiters}[protected]; late != want {
					t.Errorf("%d of %d waiters were notified too late, want %d", late, waiters, want)
				}
			})
		})
	}
}

// versions is what one client received, in order.
type versions struct{ last cache.Version }

func (h *versions) add(t *testing.T, v cache.Version) {
	t.Helper()
	if v < h.last {
		t.Errorf("received %s after %s", v, h.last)
	}
	h.last = v
}

// TestManyWaitersCostOneRead has a whole cache: 5,000 wait for one execution,
// and then 5,000 come back.
func TestManyWaitersCostOneRead(t *testing.T) {
	t.Parallel()
	cachetest.InBubble(t, func(t *testing.T, b *cachetest.Bubble) {
		const count = 5000
		c, arn, start := openBubble(t, b, new(cachetest.Network)), testARN(t, "hot"), now()
		c.run(t)
		c.apply(t, running(arn, start))
		cachetest.Eventually(t, "the run is near", func() bool {
			_, err := c.Get(t.Context(), arn)
			_, near := c.Peek(string(arn))
			return err == nil && near
		})
		since, _ := c.Peek(string(arn))
		for attempt := 1; attempt <= 3; attempt++ {
			var wg sync.WaitGroup
			reported := make(chan *cache.Record, count)
			for range count {
				wg.Go(func() {
					r, err := c.Wait(t.Context(), arn, since)
					if err != nil {
						t.Error(err)
					}
					reported <- r
				})
			}
			synctest.Wait() // all of them wait
			before := c.reads(t)
			again := running(arn, start)
			again.RedriveCount = attempt
			c.apply(t, again)
			wg.Wait()
			if trips := c.reads(t) - before; trips < 1 || trips > 2 {
				t.Errorf("%d reads for %d waiters", trips, count)
			}
			if since = <-reported; since.Version.RedriveCount() != attempt {
				t.Errorf("notified of attempt %d, want %d", since.Version.RedriveCount(), attempt)
			}
		}
		before := c.reads(t) // the control: ten that each read for themselves
		for range 10 {
			c.Invalidate(arn)
			if _, err := c.Get(t.Context(), arn); err != nil {
				t.Fatal(err)
			}
		}
		if trips := c.reads(t) - before; trips != 10 {
			t.Errorf("%d reads by ten who share none: the count cannot be trusted", trips)
		}
	})
}
