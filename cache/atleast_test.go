package cache

import (
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"statuscache/cache/cachetest"
)

// TestGetAtLeastDoesNotShareAnOlderRead: a read of another caller is on its way
// with the older state when a newer one is stored and told by another replica.
// Who has seen that must not be handed the older one.
func TestGetAtLeastDoesNotShareAnOlderRead(t *testing.T) {
	t.Parallel()
	for name, known := range map[string]bool{"older state": true, "nothing known yet": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cachetest.Redis(t)
			var n network
			c, other := openIdle(t, s.URL(), through(&n)), openIdle(t, s.URL())
			arn, start := testARN(t, "shared"), now()
			newer := succeeded(arn, start, `{}`)
			if known {
				apply(t, other, running(arn, start))
			}
			inHand, release := make(chan struct{}), make(chan struct{})
			var once sync.Once
			n.begin(func(conn *faultyConn) (bool, error) {
				if conn.asked(string(arn)) {
					once.Do(func() { close(inHand) })
					<-release
				}
				return false, nil
			})
			var wg sync.WaitGroup
			wg.Go(func() { _, _ = c.Get(t.Context(), arn) }) // either state is right for this one
			<-inHand
			apply(t, other, newer)
			wg.Go(func() {
				r, err := c.GetAtLeast(t.Context(), arn, newer.Version())
				if err != nil || r.Version < newer.Version() {
					t.Errorf("%+v, %v; want at least %s", r, err, newer.Version())
				}
			})
			cachetest.Eventually(t, "both wait", func() bool { return testutil.ToFloat64(c.metrics.nearMisses) == 2 })
			close(release)
			wg.Wait()
		})
	}
}
