package cache

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// bubble is a Redis in a bubble of time (testing/synctest), where time passes only
// when everybody waits: what the package promises in redisdb.Time holds there to the
// millisecond, however busy the machine is. The Redis is miniredis, since nothing in
// a bubble may touch the network, so a test in it is one of our logic and proves
// nothing about Redis.
type bubble struct{ redis *miniredis.Miniredis }

// inBubble runs a test in a bubble.
func inBubble(t *testing.T, test func(*testing.T, *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		pass(time.Until(time.Date(2096, 2, 10, 12, 0, 0, 0, time.UTC))) // it begins in 2000, before the process did
		b := &bubble{redis: miniredis.NewMiniRedis()}
		t.Cleanup(b.redis.Close)
		test(t, b)
	})
}

// open opens a cache that does not listen to changes, with the limits of production.
// Its connections pass through n; the address is one that needs no resolver, which
// works for one bubble only.
func (b *bubble) open(t *testing.T, n *network) *Cache {
	t.Helper()
	n.connect = func(context.Context, string, string) (net.Conn, error) { return b.redis.Dial() }
	return openIdle(t, "redis://127.0.0.1:1", through(n), func(o *Options) { o.ReadLimit, o.WriteLimit = 0, 0 })
}

// silent swallows every answer, without an error.
func silent(*faultyConn) (lost bool, err error) { return true, nil }

// took returns how long something takes.
func took(f func()) time.Duration {
	begun := time.Now()
	f()
	return time.Since(begun)
}

// pass lets time pass.
func pass(d time.Duration) { <-time.After(d) }
