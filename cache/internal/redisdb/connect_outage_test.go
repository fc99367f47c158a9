package redisdb

import (
	"log/slog"
	"testing"

	"statuscache/cache/cachetest"
)

// TestALostFeedIsLoggedAndItsReturnToo: with a real server that goes away and comes back, and
// attempts in between of which nothing is reported.
func TestALostFeedIsLoggedAndItsReturnToo(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	var log cachetest.Log
	c := openTest(t, s.URL(), func(o *Options) { o.Log = slog.New(slog.NewJSONHandler(&log, nil)) })
	s.Kill()
	cachetest.Eventually(t, "both parts are lost", func() bool { return c.Ready() != nil && c.Writable() != nil })
	s.Start()
	cachetest.Eventually(t, "it is reported as often that a part is back as that it was lost", func() bool {
		reported := func(lost, back string) bool { return log.Lines(lost) > 0 && log.Lines(lost) == log.Lines(back) }
		return c.Ready() == nil && c.Writable() == nil &&
			reported("the change feed of Redis is lost", "the change feed of Redis is back") && reported("Redis does not accept writes", "Redis accepts writes again")
	})
}
