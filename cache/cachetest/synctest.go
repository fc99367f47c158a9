package cachetest

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// Bubble is a Redis in a bubble of time (testing/synctest), where time passes only when
// every goroutine waits. So times are exact to the millisecond, even on a busy machine.
// The Redis is miniredis, because nothing in a bubble may use the network. A test in a
// bubble therefore tests our logic and proves nothing about Redis.
type Bubble struct {
	Redis *miniredis.Miniredis

	mu    sync.Mutex
	ended bool
}

// BubbleURL is the REDIS_URL of the Redis in a bubble. It has an IP address, because a resolver
// works for one bubble only. Connections must go through Bubble.Join.
const BubbleURL = "redis://127.0.0.1:1"

// InBubble runs a test in a bubble.
func InBubble(t *testing.T, test func(*testing.T, *Bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		Pass(time.Until(time.Date(2096, 2, 10, 12, 0, 0, 0, time.UTC))) // it begins in 2000, before the process did
		b := &Bubble{Redis: miniredis.NewMiniRedis()}
		t.Cleanup(b.end)
		test(t, b)
	})
}

// Join makes a network connect to the Redis of the bubble, for every address.
func (b *Bubble) Join(n *Network) {
	n.connect = func(context.Context, string, string) (net.Conn, error) { return b.dial() }
}

// dial connects to the Redis until the bubble ends: a miniredis that is closed must not be
// dialed, which is a data race and restarts it.
func (b *Bubble) dial() (net.Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return nil, net.ErrClosed
	}
	return b.Redis.Dial()
}

func (b *Bubble) end() {
	b.mu.Lock()
	b.ended = true
	b.mu.Unlock()
	b.Redis.Close()
}

// Took returns how long something takes.
func Took(f func()) time.Duration {
	begun := time.Now()
	f()
	return time.Since(begun)
}

// Pass lets time pass, by the clock of a bubble.
func Pass(d time.Duration) { <-time.After(d) }
