package cache

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"statuscache/cache/cachetest"
	"statuscache/cache/internal/monotonic"
	"statuscache/cache/internal/readbatch"
	"statuscache/cache/internal/redisdb"
)

// TestConcurrentMissesShareOneRead: a hot key that 5,000 miss at once
// costs Redis one read.
func TestConcurrentMissesShareOneRead(t *testing.T) {
	t.Parallel()
	cachetest.InBubble(t, func(t *testing.T, b *cachetest.Bubble) {
		const readers = 5_000
		var n cachetest.Network
		c, arn := openBubble(t, b, &n), testARN(t, "hot")
		apply(t, c, succeeded(arn, now(), `{}`))
		h := n.Hold(cachetest.ReadsOf(string(arn)))
		before := tripsOf(c)
		var wg sync.WaitGroup
		for range readers {
			wg.Go(func() {
				if _, err := c.Get(t.Context(), arn); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait() // all of them have asked
		h.Release()
		wg.Wait()
		if trips := tripsOf(c) - before; trips != 1 {
			t.Errorf("%d reads, want 1", trips)
		}
		before = tripsOf(c)
		for range 20 {
			if _, err := c.Get(t.Context(), arn); err != nil {
				t.Error(err)
			}
		}
		if trips := tripsOf(c) - before; trips != 20 {
			t.Errorf("%d reads by 20 who have nothing to share: the count cannot be trusted", trips)
		}
	})
}

// TestAReadThatAChangeOvertookIsNotKept holds the answer to a read back until
// the change feed has reported that the record is newer.
func TestAReadThatAChangeOvertookIsNotKept(t *testing.T) {
	t.Parallel()
	for name, protected := range map[string]bool{"protected": true, "control": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cachetest.InBubble(t, func(t *testing.T, b *cachetest.Bubble) {
				var n cachetest.Network
				c, other := openBubble(t, b, &n), openBubble(t, b, new(cachetest.Network))
				heard, forget := make(chan struct{}, 10), c.db.Feed.Listeners[0].Changed
				c.db.Feed.Listeners[0].Changed = func(channel, payload string) {
					if protected {
						forget(channel, payload)
					}
					heard <- struct{}{}
				}
				arn, start := testARN(t, "overtaken"), now()
				apply(t, other, running(arn, start))
				runTest(t, c)
				h := n.Hold(cachetest.ReadsOf(string(arn)))
				read := make(chan error)
				go func() {
					_, err := c.Get(t.Context(), arn)
					read <- err
				}()
				<-h.Reached
				apply(t, other, succeeded(arn, start, `{}`))
				<-heard
				h.Release()
				if err := <-read; err != nil {
					t.Fatal(err)
				}
				r, err := c.Get(t.Context(), arn)
				if err != nil {
					t.Fatal(err)
				}
				if want := map[bool]Status{true: Succeeded, false: Running}[protected]; r.Status != want {
					t.Errorf("then %s, want %s", r.Status, want)
				}
			})
		})
	}
}

// isNear reports whether the near cache tells an execution, after asking for it.
func isNear(t *testing.T, c *Cache, arn ARN) func() bool {
	return func() bool {
		_, err := c.Get(t.Context(), arn)
		_, ok := c.Peek(string(arn))
		return err == nil && ok
	}
}

// TestReadsEndInTime has Redis fall silent. In the control a client without our
// limits waits.
func TestReadsEndInTime(t *testing.T) {
	t.Parallel()
	cachetest.InBubble(t, func(t *testing.T, b *cachetest.Bubble) {
		var n cachetest.Network
		c, known := openBubble(t, b, &n), testARN(t, "known")
		runTest(t, c)
		apply(t, c, succeeded(known, now(), `{}`))
		cachetest.Eventually(t, "the record is near", isNear(t, c, known)) // not before the change is heard
		n.Begin(cachetest.Silent)
		fell := time.Now()
		for _, callers := range []int{1, 500} {
			for took := range readAll(t, c, callers) {
				if took > redisdb.DefaultReadLimit {
					t.Errorf("one of %d reads took %v, want at most %v", callers, took, redisdb.DefaultReadLimit)
				}
			}
		}
		if r, ok := c.Peek(string(known)); !ok || r.Status != Succeeded {
			t.Error("the near cache was off before it had to be")
		}
		for c.db.Ready() == nil && time.Since(fell) < time.Minute {
			cachetest.Pass(time.Millisecond) // Eventually checks too seldom for an exact time
		}
		if after := time.Since(fell); after < redisdb.MaxSilence-redisdb.Heartbeat || after > redisdb.MaxSilence+redisdb.Heartbeat/10 {
			t.Errorf("the near cache was off after %v", after)
		}
		if _, ok := c.Peek(string(known)); ok {
			t.Error("the near cache answers although nothing vouches for it")
		}
		unlimited := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", Dialer: n.Dial, ReadTimeout: 2 * redisdb.DefaultReadLimit, MaxRetries: -1, MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}})
		defer func() { _ = unlimited.Close() }()
		if took := cachetest.Took(func() { _ = unlimited.Get(t.Context(), "x").Err() }); took < 2*redisdb.DefaultReadLimit {
			t.Errorf("a client without our limits waited %v only: Redis was not silent", took)
		}
		n.End()
		cachetest.Eventually(t, "the near cache is back", isNear(t, c, known))
	})
}

// readAll reads many executions at once and returns how long each took. None of
// the reads may succeed.
func readAll(t *testing.T, c *Cache, callers int) <-chan time.Duration {
	t.Helper()
	all := make(chan time.Duration, callers)
	var wg sync.WaitGroup
	for i := range callers {
		arn := testARN(t, fmt.Sprint("unanswered-", i))
		wg.Go(func() {
			begun := time.Now()
			_, err := c.Get(t.Context(), arn)
			all <- time.Since(begun)
			if err == nil || errors.Is(err, ErrNotFound) {
				t.Errorf("a Redis that does not answer has answered: %v", err)
			}
		})
	}
	wg.Wait()
	close(all)
	return all
}

// TestReadsFromAFrozenRedis: a server that is stopped, with all its connections
// open, counts as one that does not answer, and the near cache serves nothing for long.
func TestReadsFromAFrozenRedis(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	c := openTest(t, s.URL(), func(o *Options) { o.ReadLimit = redisdb.DefaultReadLimit })
	known := testARN(t, "known")
	apply(t, c, succeeded(known, now(), `{}`))
	cachetest.Eventually(t, "the record is near", isNear(t, c, known))
	s.Freeze()
	for range readAll(t, c, 100) { // they end, and find out nothing
	}
	cachetest.Eventually(t, "the near cache is off", func() bool { return c.db.Ready() != nil })
	if _, ok := c.Peek(string(known)); ok {
		t.Error("the near cache answers although nothing vouches for it")
	}
	s.Thaw()
	cachetest.Eventually(t, "the near cache is back", isNear(t, c, known))
}

func TestGetAtLeastGoesPastAnOlderEntry(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	c := openIdle(t, s.URL()) // does not listen, so its near cache stays behind
	arn, start := testARN(t, "at-least"), now()
	older, newer := running(arn, start), succeeded(arn, start, `{}`)
	apply(t, c, older)
	c.db.Feed.Trust.Extend(monotonic.Now() + int64(time.Hour))
	get := func(v Version) Status {
		t.Helper()
		r, err := c.GetAtLeast(t.Context(), arn, v)
		if err != nil {
			t.Fatal(err)
		}
		return r.Status
	}
	if got := get(older.Version()); got != Running {
		t.Errorf("first %s", got)
	}
	apply(t, c, newer)
	if got := get(older.Version()); got != Running {
		t.Errorf("without a newer version in the request: %s, want the near cache's", got)
	}
	if got := get(newer.Version()); got != Succeeded {
		t.Errorf("to a client that has seen the newer version: %s", got)
	}
}

// TestARefusedReadLeavesNothingBehind that later callers would wait for.
func TestARefusedReadLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	n, arn := newNear(1<<20, new(redisdb.Trust)), testARN(t, "refused")
	for range 2 {
		f, first := n.startFill(t.Context(), arn, "")
		if !first {
			t.Fatal("it joins a read that was refused")
		}
		f.End(readbatch.Value{}, readbatch.ErrOverloaded)
		if <-f.done; !errors.Is(f.err, ErrOverloaded) {
			t.Errorf("the caller gets %v", f.err)
		}
	}
}

func TestNearKeepsWithinItsBounds(t *testing.T) {
	t.Parallel()
	const size = 10_000
	fill := func(bytes int64) (kept int) {
		n := newNear(bytes, new(redisdb.Trust))
		n.trust.Extend(monotonic.Now() + int64(time.Hour))
		for i := range 1000 {
			e := succeeded(testARN(t, fmt.Sprint("bound-", i)), now(), `"`+strings.Repeat("x", size)+`"`)
			body := appendBody(nil, &e)
			f, _ := n.startFill(t.Context(), e.ARN, "")
			n.endFill(f, &Record{ARN: e.ARN, Terminal: true, Plain: &Representation{Body: body}}, nil)
		}
		n.records.CleanUp()
		for i := range 1000 {
			if _, ok := n.get(testMachine + fmt.Sprint("bound-", i)); ok {
				kept++
			}
		}
		return kept
	}
	if kept := fill(1 << 20); kept == 0 || kept*size > 1<<20 {
		t.Errorf("%d records of %d bytes in 1 MiB", kept, size)
	}
	if kept := fill(1 << 30); kept != 1000 {
		t.Errorf("%d of 1000 records where all fit", kept)
	}
}

func TestTheNearCacheServesNothingOutOfDate(t *testing.T) {
	t.Parallel()
	arn := testARN(t, "near")
	r := &Record{ARN: arn, Plain: &Representation{}}
	hour := int64(time.Hour)
	for what, test := range map[string]struct {
		change func(*near)
		after  bool // reported if it happened after the read
		during bool // reported if it happened during the read
	}{
		"nothing":                       {func(*near) {}, true, true},
		"a change was notified":         {func(n *near) { n.forget(arn) }, false, false},
		"a change of another":           {func(n *near) { n.forget("another") }, true, true},
		"the feed was lost":             {func(n *near) { n.trust.End(); n.clear() }, false, false},
		"the feed was lost and found":   {func(n *near) { n.trust.End(); n.clear(); n.trust.Extend(monotonic.Now() + hour) }, false, false},
		"the feed has been silent":      {func(n *near) { n.trust.Extend(monotonic.Now()) }, false, false},
		"the entry has reached its age": {func(n *near) { n.records.Set(string(arn), nearEntry{r, monotonic.Now(), 0}) }, false, true},
	} {
		for _, during := range []bool{false, true} {
			n := newNear(1<<20, new(redisdb.Trust))
			n.trust.Extend(monotonic.Now() + hour)
			f, first := n.startFill(t.Context(), arn, "")
			if _, second := n.startFill(t.Context(), arn, ""); !first || second {
				t.Fatal("two reads of one execution")
			}
			want := test.after
			if during {
				want = test.during
				test.change(n)
			}
			n.endFill(f, r, nil)
			if !during {
				test.change(n)
			}
			if _, ok := n.get(string(arn)); ok != want {
				t.Errorf("%s, during the read %v: reported %v", what, during, ok)
			}
		}
	}
}
