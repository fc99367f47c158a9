package redisdb

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"statuscache/cache/cachetest"
)

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
