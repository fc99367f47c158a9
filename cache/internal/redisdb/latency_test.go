package redisdb

import (
	"errors"
	"strings"
	"testing"
	"time"

	"statuscache/cache/cachetest"
)

// TestARedisThatIsTooFarSaysSo: a new connection and its first command need two answers in
// the time of one read. It may come nearer, so nobody gives up at once.
func TestARedisThatIsTooFarSaysSo(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "a Redis")
	far := cachetest.Distant(t, cachetest.Redis(t).Addr)
	far.Late(DefaultReadLimit * 2 / 3)
	for _, acks := range []int{0, AutoAcks} {
		asStatusd := func(o *Options) { o.ReadLimit, o.WriteLimit, o.ReplicaAcks = 0, 0, acks }
		err := openIdle(t, "redis://"+far.Addr, asStatusd).Check(t.Context())
		if err == nil || errors.Is(err, ErrUnfit) {
			t.Fatalf("check: %v", err)
		}
		for _, want := range []string{"answers only after ", "within 300ms", "run statusd near Redis"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v does not say %q", err, want)
			}
		}
	}
	far.Late(0)
	db := openIdle(t, "redis://"+far.Addr)
	cachetest.Eventually(t, "a Redis that has come nearer is accepted", func() bool { return db.Check(t.Context()) == nil })
}

// TestASilentRedisIsNotCalledDistant: nobody knows how far away it is.
func TestASilentRedisIsNotCalledDistant(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "a Redis")
	s := cachetest.Redis(t)
	s.Freeze()
	defer s.Thaw()
	hasty := func(o *Options) { o.ReadLimit, o.WriteLimit = time.Second/10, time.Second/10 }
	if err := openIdle(t, s.URL(), hasty).Check(t.Context()); err == nil || strings.Contains(err.Error(), "answers only") {
		t.Errorf("check: %v", err)
	}
}
