package redisdb

import (
	"errors"
	"strings"
	"testing"

	"statuscache/cache/cachetest"
)

// TestUserWhoMayNotPublish: what such a user stores would never be announced,
// and the near caches of everybody would tell old stories.
func TestUserWhoMayNotPublish(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	s.Do("ACL SETUSER status on >secret ~* +@all resetchannels")
	url := strings.Replace(s.URL(), "redis://", "redis://status:secret@", 1)
	err := openIdle(t, url).Check(t.Context())
	if !errors.Is(err, ErrUnfit) || !strings.Contains(err.Error(), "ACL SETUSER") {
		t.Errorf("check: %v", err)
	}
	s.Do("ACL SETUSER status &sc:*")
	if err := openIdle(t, url).Check(t.Context()); err != nil {
		t.Errorf("with the channels: %v", err)
	}
}
