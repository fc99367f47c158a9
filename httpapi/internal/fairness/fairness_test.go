package fairness

import (
	"net"
	"testing"
)

// TestPoolsAreShared: however many holders take all that they can, the next one still gets a
// part.
func TestPoolsAreShared(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		greed  int64
		greedy int
		each   int64 // what each of the greedy has in the end, nearly
	}{{Evenly, 1, 500}, {Evenly, 4, 200}, {Nearly, 1, 750}, {Nearly, 3, 300}} {
		var pools Pools
		p := pools.New(1000, test.greed)
		all := make([]*Holder, test.greedy)
		for i := range all {
			all[i] = pools.NewHolder(nil, 1)
		}
		for range 1000 {
			for _, h := range all {
				p.Take(h, 1)
			}
		}
		for i, h := range all {
			if got := h.held[0].Load(); got < test.each-2 || got > test.each+2 {
				t.Errorf("%+v: number %d has %d", test, i, got)
			}
		}
		late := pools.NewHolder(nil, 1)
		if !p.Take(late, 10) {
			t.Errorf("%+v: nothing is left for a new holder", test)
		}
		p.Give(late, 10)
		for _, h := range all {
			p.Give(h, h.held[0].Load())
		}
		if p.taken.Load() != 0 || !p.Take(late, 1000) || p.Take(all[0], 1) {
			t.Errorf("%+v: not given back, or more than there is", test)
		}
	}
}

func TestAddressesOfOneClient(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"192.0.2.1": "192.0.2.1/32", "::ffff:192.0.2.1": "192.0.2.1/32", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
	} {
		if got := Neighbourhood(&net.TCPAddr{IP: net.ParseIP(addr), Port: 1}).String(); got != want {
			t.Errorf("%s: %s", addr, got)
		}
	}
	if got := Neighbourhood(&net.UnixAddr{}); got.IsValid() {
		t.Errorf("no address of a network: %s", got)
	}
}
