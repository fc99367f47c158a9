package redisdb

import (
	"errors"
	"testing"
)

func TestCheckRefusesOldVersions(t *testing.T) {
	t.Parallel()
	for version, fit := range map[string][2]bool{ // one node, cluster
		"6.0.16": {false, false}, "6.2.0": {true, false}, "6.3": {true, false}, "7.0.15": {true, true},
		"8.2.1": {true, true}, "10.0.0": {true, true}, "5.9.9": {false, false}, "": {true, true},
	} {
		for i, m := range []mode{oneNode, cluster} {
			if err := (&DB{address: &address{mode: m}}).CheckVersion(Info{"redis_version": version}); fit[i] != (err == nil) || err != nil && !errors.Is(err, ErrUnfit) {
				t.Errorf("version %q, mode %d: %v", version, m, err)
			}
		}
	}
}
