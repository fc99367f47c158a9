package cachetest

import (
	"testing"
	"time"
)

// limit bounds every wait for a condition. It is not a performance target. It only ends a test
// whose condition is never met, so a test on a busy machine must not reach it.
const limit = 5 * time.Minute

// Eventually returns when met reports true, and fails the test if that does not happen
// within five minutes. make bench measures how soon something happens, not this.
func Eventually(t testing.TB, what string, met func() bool) {
	t.Helper()
	for begun := time.Now(); time.Since(begun) < limit; pause(time.Since(begun)) {
		if met() {
			return
		}
	}
	t.Fatalf("not within %v: %s", limit, what)
}

// pause waits before a condition is checked again. The pause grows with the time waited,
// because each check takes CPU time from the tested code. A scrape of the metrics under the
// race detector takes as much as ten requests. It lengthens a wait by a third at most.
func pause(waited time.Duration) {
	<-time.After(min(max(waited/3, 2*time.Millisecond), 250*time.Millisecond))
}

// ClearOfMidnight waits until the day of Redis, which is one of UTC, has some time left: a daily
// limit is one of each day, and a test that runs across midnight has two of them.
func ClearOfMidnight(t testing.TB) {
	t.Helper()
	const near = 90 * time.Second
	Eventually(t, "the day does not end", func() bool {
		return time.Now().Add(near).UTC().YearDay() == time.Now().UTC().YearDay()
	})
}

// SkipShort skips a test in go test -short, which starts no other program and is quick.
// It is for tests that start a program or take long; what says which.
func SkipShort(t testing.TB, what string) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short skips tests that need " + what)
	}
}
