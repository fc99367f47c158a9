package app

import "testing"

func TestTheGarbageCollectorFollowsTheLoad(t *testing.T) {
	t.Parallel()
	const mega = 1 << 20
	for _, test := range []struct {
		name       string
		live, rate uint64
		want       int
	}{
		{"at the start", 0, 0, 400},
		{"small and idle", 20 * mega, 0, 120},
		{"small and busy", 20 * mega, 100 * mega, 400},
		{"large and idle", 300 * mega, 0, 33},
		{"large and busy", 300 * mega, 100 * mega, 333},
		{"large and at work", 300 * mega, 30 * mega, 100},
	} {
		if got := gcPercent(test.live, test.rate); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
	if live, made := heap(); made == 0 {
		t.Errorf("%d alive, %d made", live, made)
	}
}
