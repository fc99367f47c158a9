package cache

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"statuscache/cache/cachetest"
)

// TestTheLocalClockDoesNotMatter: what a process whose clock is ten minutes slow or fast
// stores, and how long it stays there, is the same to the byte. In the control Redis has
// the clock of the process.
func TestTheLocalClockDoesNotMatter(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ ofProcess, same bool }{"the clock of Redis": {false, true}, "the clock of the process": {true, false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := storedBy(t, 0, test.ofProcess)
			if len(want) < 20 {
				t.Fatalf("%d keys only", len(want))
			}
			for _, skew := range []time.Duration{-10 * time.Minute, 10 * time.Minute} {
				if diff := cmp.Diff(want, storedBy(t, skew, test.ofProcess)); (diff == "") != test.same {
					t.Errorf("%v: the same: %v\n%s", skew, diff == "", diff)
				}
			}
		})
	}
}

// storedBy returns what a process stores whose clock is so much ahead of that of Redis,
// by key, and how long for.
func storedBy(t *testing.T, skew time.Duration, ofProcess bool) (all map[string]string) {
	t.Helper()
	cachetest.InBubble(t, func(t *testing.T, b *cachetest.Bubble) {
		truth := time.Now().Add(time.Hour).Truncate(time.Hour)
		cachetest.Pass(time.Until(truth.Add(skew)))
		b.Redis.SetTime(truth)
		if ofProcess {
			b.Redis.SetTime(time.Now())
		}
		c := openBubble(t, b, new(cachetest.Network))
		observe(t, c, truth)
		all = map[string]string{}
		for _, key := range b.Redis.Keys() {
			text, _ := b.Redis.Get(key) // fails for what is no text, which the dump has whole
			all[key] = fmt.Sprintf("%v %q", b.Redis.TTL(key), text)
		}
		all["everything"] = b.Redis.Dump()
	})
	return all
}

// observe applies and registers what is near the ages at which it is treated in another
// way: near enough for ten minutes to make a difference.
func observe(t *testing.T, c *Cache, truth time.Time) {
	t.Helper()
	const retention = 15 * 24 * time.Hour
	for _, age := range []time.Duration{0, 8 * time.Minute, 14 * time.Minute, 16 * time.Minute, 22 * time.Minute} {
		start := truth.Add(-age)
		e := running(testARN(t, fmt.Sprint("runs-", age)), start) // doubted from 15 minutes on
		apply(t, c, e)
		awaited := succeeded(testARN(t, fmt.Sprint("awaited-", age)), start, "")
		awaited.Completeness = OutputAwaited
		apply(t, c, awaited)
		again := failed(testARN(t, fmt.Sprint("redriven-", age)), start, "no")
		apply(t, c, again)
		again.Status, again.RedriveCount, again.StopDate = Running, 1, time.Time{}
		apply(t, c, again)
	}
	for _, left := range []time.Duration{-9 * time.Minute, -time.Minute, time.Minute, 9 * time.Minute} {
		stop := truth.Add(left - retention)
		e := succeeded(testARN(t, fmt.Sprint("ends-", left)), stop.Add(-time.Second), `{}`) // expires soon, or has
		apply(t, c, e, e)
		start := truth.Add(left - 24*time.Hour) // a registration tells a date of about a day ago
		if _, err := c.Register(t.Context(), Registration{ARN: testARN(t, fmt.Sprint("reported-", left)), Owner: "ada", StartDate: start}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Register(t.Context(), Registration{ARN: testARN(t, "registered"), Owner: "ada"}); err != nil {
		t.Fatal(err)
	}
}
