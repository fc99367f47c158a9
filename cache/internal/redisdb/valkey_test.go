package redisdb

import (
	"errors"
	"strings"
	"testing"
)

// TestWhatAScriptMayNotDoIsExplained: Redis before 7.2, and Redis since then and Valkey, say it in
// different words.
func TestWhatAScriptMayNotDoIsExplained(t *testing.T) {
	t.Parallel()
	db := &DB{address: &address{}, Names: &Names{Prefix: "sc"}}
	for text, rule := range map[string]string{
		"NOPERM this user has no permissions to run the 'set' command script: 55dd, on @user_script:1.":                        "+set",
		"ERR ACL failure in script: User default has no permissions to run the 'set' command script: 55dd, on @user_script:1.": "+set",
		"NOPERM this user has no permissions to access one of the keys used as arguments script: 55dd, on @user_script:1.":     "~sc:*",
		"ERR ACL failure in script: No permissions to access a key script: 55dd, on @user_script:1.":                           "~sc:*",
		"ERR ACL failure in script: No permissions to access a channel script: fde0, on @user_script:1.":                       "&sc:*",
	} {
		for _, err := range []error{errors.New(text), errors.New("apply: redis: " + text)} {
			if plain := db.Explain(err).Error(); !forbids(err) || !strings.HasSuffix(plain, "ACL SETUSER default "+rule) {
				t.Errorf("%v: %q does not end with %s", err, plain, rule)
			}
			if brief, _ := Explain(err); brief != "the Redis user lacks a permission" {
				t.Errorf("%v: %q", err, brief)
			}
		}
	}
}

// TestASentinelOfValkeyIsNoPrimary: Valkey has renamed a field of INFO.
func TestASentinelOfValkeyIsNoPrimary(t *testing.T) {
	t.Parallel()
	db := &DB{address: &address{}}
	for _, info := range []Info{{"redis_mode": "sentinel"}, {"server_mode": "sentinel"}} {
		if err := db.CheckKind(info); !errors.Is(err, ErrUnfit) || !strings.Contains(err.Error(), "redis+sentinel://") {
			t.Errorf("%v: %v", info, err)
		}
	}
	if err := db.CheckKind(Info{"server_mode": "standalone"}); err != nil {
		t.Error(err)
	}
}
