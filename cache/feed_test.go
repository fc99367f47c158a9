package cache

import (
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"statuscache/cache/cachetest"
)

// maxAge is the promise: no read is older.
const maxAge = 3 * time.Second

// TestReadsStayFreshInABlackHole: one cache stores a newer state again and again,
// another reads while nothing reaches its subscription. In the control the near
// cache stays trusted.
func TestReadsStayFreshInABlackHole(t *testing.T) {
	t.Parallel()
	for name, trusting := range map[string]bool{"protected": false, "control": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cachetest.InBubble(t, func(t *testing.T, b *cachetest.Bubble) {
				var n cachetest.Network
				reader, writer := openBubble(t, b, &n), openBubble(t, b, new(cachetest.Network))
				if trusting {
					reader.db.Feed.Listeners[0].Reset = func() { reader.db.Feed.Trust.Extend(math.MaxInt64) }
				}
				runTest(t, reader)
				h := &freshness{arn: testARN(t, "fresh"), start: now()}
				if age := h.observe(t, reader, writer, time.Second); age > 0 {
					t.Errorf("before the fault a read was %v old", age)
				}
				n.Begin(cachetest.BlackHole)
				if trusting {
					reader.db.Feed.Trust.Extend(math.MaxInt64)
				}
				switch age := h.observe(t, reader, writer, maxAge+1500*time.Millisecond); {
				case trusting && age <= maxAge:
					t.Errorf("without protection a read was %v old at most: the fault does nothing", age)
				case !trusting && age > maxAge:
					t.Errorf("a read was %v old", age)
				}
				if trusting {
					return
				}
				n.End()
				cachetest.Eventually(t, "the change feed works again", func() bool { return reader.db.Ready() == nil })
				if age := h.observe(t, reader, writer, time.Second); age > 0 {
					t.Errorf("after the fault a read was %v old", age)
				}
			})
		})
	}
}

// freshness tells how old the states are that a reader gets.
type freshness struct {
	arn   ARN
	start time.Time

	mu     sync.Mutex
	stored []time.Time // when attempt n was confirmed
}

// observe stores a newer state every few redisdb.Time for a while, reads all the
// time, and returns the age of the oldest state that was read: how long before
// the read its successor had been confirmed.
func (f *freshness) observe(t *testing.T, reader, writer *Cache, length time.Duration) (oldest time.Duration) {
	t.Helper()
	f.store(t, writer)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for begun := time.Now(); time.Since(begun) < length; <-tick.C {
			f.store(t, writer)
		}
	})
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	for ended := false; !ended; <-pause.C {
		select {
		case <-done:
			ended = true
		default:
		}
		asked := time.Now()
		r, err := reader.Get(t.Context(), f.arn)
		if err != nil {
			t.Errorf("read: %v", err)
			break
		}
		oldest = max(oldest, f.age(r.Version.RedriveCount(), asked))
	}
	wg.Wait()
	return oldest
}

func (f *freshness) store(t *testing.T, c *Cache) {
	e := failed(f.arn, f.start, "again") // stopped, so the near cache would keep it for a minute
	f.mu.Lock()
	e.RedriveCount = len(f.stored)
	f.mu.Unlock()
	if o := c.Apply(t.Context(), []Execution{e})[0]; o.Err != nil {
		t.Error(o.Err)
	}
	f.mu.Lock()
	f.stored = append(f.stored, time.Now())
	f.mu.Unlock()
}

func (f *freshness) age(attempt int, asked time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if next := attempt + 1; next < len(f.stored) {
		return asked.Sub(f.stored[next])
	}
	return 0
}

// TestFeedComesBack kills the connections of the subscriptions.
func TestFeedComesBack(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	c := openTest(t, s.URL())
	for range 3 {
		var generation uint64
		cachetest.Eventually(t, "the connection is killed", func() bool {
			generation = c.near.generation.Load()
			return s.Do("CLIENT KILL TYPE pubsub") == ":1"
		})
		cachetest.Eventually(t, "everything near is thrown away and the feed works", func() bool {
			return c.near.generation.Load() > generation+1 && c.db.Ready() == nil
		})
	}
}

// TestFeedNoticesAnotherServer: another Redis in the place of the one that was
// there knows other states.
func TestFeedNoticesAnotherServer(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	c := openTest(t, s.URL())
	arn := testARN(t, "gone")
	apply(t, c, succeeded(arn, now(), `{}`))
	cachetest.Eventually(t, "the record is near", func() bool {
		_, err := c.Get(t.Context(), arn)
		_, ok := c.Peek(string(arn))
		return err == nil && ok
	})
	s.Kill()
	cachetest.Eventually(t, "the loss is noticed", func() bool { return c.db.Ready() != nil })
	if _, ok := c.Peek(string(arn)); ok {
		t.Error("reported although Redis is gone")
	}
	if err := c.db.Ready(); err == nil || !strings.Contains(err.Error(), "change feed") {
		t.Errorf("the reason is %v", err)
	}
	s.Start()
	cachetest.Eventually(t, "the change feed works", func() bool { return c.db.Ready() == nil })
	if r := stored(t, c, arn); r != nil {
		t.Errorf("an empty Redis knows %s", r.Status)
	}
}

// TestWithoutAFeedTheNearCacheIsOff: a cache that does not run asks Redis each time.
func TestWithoutAFeedTheNearCacheIsOff(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	c := openIdle(t, s.URL())
	arn := testARN(t, "far")
	apply(t, c, succeeded(arn, now(), `{}`))
	before := s.Calls("mget")
	for range 3 {
		if _, err := c.Get(t.Context(), arn); err != nil {
			t.Fatal(err)
		}
		if _, ok := c.Peek(string(arn)); ok {
			t.Error("reported by the near cache")
		}
	}
	if n := s.Calls("mget") - before; n != 3 {
		t.Errorf("%d reads, want 3", n)
	}
	if err := c.db.Ready(); err == nil {
		t.Error("ready")
	}
}
