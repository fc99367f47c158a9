package cache

import (
	"sync"
	"testing"
	"testing/synctest"

	"statuscache/cache/cachetest"
)

// TestGetAtLeastDoesNotShareAnOlderRead: a read of another caller is on its way
// with the older state when a newer one is stored and reported by another replica.
// Who has seen that must not be handed the older one.
func TestGetAtLeastDoesNotShareAnOlderRead(t *testing.T) {
	t.Parallel()
	for name, known := range map[string]bool{"older state": true, "nothing known yet": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cachetest.InBubble(t, func(t *testing.T, b *cachetest.Bubble) {
				var n cachetest.Network
				c, other := openBubble(t, b, &n), openBubble(t, b, new(cachetest.Network))
				arn, start := testARN(t, "shared"), now()
				newer := succeeded(arn, start, `{}`)
				if known {
					apply(t, other, running(arn, start))
				}
				h := n.Hold(cachetest.ReadsOf(string(arn)))
				var wg sync.WaitGroup
				wg.Go(func() { _, _ = c.Get(t.Context(), arn) }) // either state is right for this one
				<-h.Reached
				apply(t, other, newer)
				wg.Go(func() {
					r, err := c.GetAtLeast(t.Context(), arn, newer.Version())
					if err != nil || r.Version < newer.Version() {
						t.Errorf("%+v, %v; want at least %s", r, err, newer.Version())
					}
				})
				synctest.Wait() // both wait for the one answer
				if trips := tripsOf(c); trips != 1 {
					t.Errorf("%d reads are on their way, want one that both wait for", trips)
				}
				h.Release()
				wg.Wait()
			})
		})
	}
}
