package cache

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"statuscache/cache/cachetest"
)

// TestAnOutageIsToldOnceAMinute: when a part is lost, each minute while it is, and when it
// is back, however often it is tried; the next outage is told afresh.
func TestAnOutageIsToldOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		o := outage{log: slog.New(slog.NewTextHandler(&log, nil)), lost: "the part of Redis is lost", back: "the part of Redis is back"}
		o.is(nil)
		for range 10 * 150 { // two and a half minutes
			o.is(errors.New("cut"))
			<-time.After(100 * time.Millisecond) // of the bubble
		}
		o.is(nil)
		o.is(nil)
		o.is(errors.New("cut again"))
		text := log.String()
		if n := strings.Count(text, "the part of Redis is lost"); n != 4 {
			t.Errorf("told %d times that it is lost, want 3 times and once more:\n%s", n, text)
		}
		if n := strings.Count(text, "the part of Redis is back"); n != 1 || !strings.Contains(text, "after=2m30s") {
			t.Errorf("told %d times that it is back:\n%s", n, text)
		}
		if !strings.Contains(text, "since=1m0s") {
			t.Errorf("does not tell for how long:\n%s", text)
		}
	})
}

// TestALostFeedIsToldAndThatItIsBack: with a real server that goes away and comes back, and
// attempts in between of which nothing is told.
func TestALostFeedIsToldAndThatItIsBack(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	var log lockedLog
	c := openTest(t, s.URL(), func(o *Options) { o.Log = slog.New(slog.NewJSONHandler(&log, nil)) })
	s.Kill()
	cachetest.Eventually(t, "both parts are lost", func() bool { return c.Ready() != nil && c.Writable() != nil })
	s.Start()
	cachetest.Eventually(t, "it is told as often that a part is back as that it was lost", func() bool {
		told := func(lost, back string) bool { return log.count(lost) > 0 && log.count(lost) == log.count(back) }
		return c.Ready() == nil && c.Writable() == nil &&
			told("the change feed of Redis is lost", "the change feed of Redis is back") && told("Redis does not take writes", "Redis takes writes again")
	})
}

// lockedLog takes what several goroutines log.
type lockedLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedLog) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}
