package redisdb

import (
	"errors"
	"strings"
	"testing"

	"statuscache/cache/cachetest"
)

// TestALostFeedSaysSinceWhen, and what to do, to everybody: no address.
func TestALostFeedSaysSinceWhen(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	db := openTest(t, s.URL())
	s.Kill()
	var said interface{ Public() string }
	cachetest.Eventually(t, "Redis is missed for a second and more", func() bool {
		return errors.As(db.Ready(), &said) && !strings.Contains(said.Public(), "for 0s")
	})
	for _, words := range []string{"not available for ", ", since 20", "Redis does not answer", "; check that Redis runs and that statusd can reach the address in REDIS_URL"} {
		if !strings.Contains(said.Public(), words) || strings.Contains(said.Public(), s.Addr) {
			t.Errorf("%q, want %q and no address", said.Public(), words)
		}
	}
}
