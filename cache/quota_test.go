package cache

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"statuscache/cache/cachetest"
)

func quotaKey(limit int64) *Key { return &Key{Hash: "ab12", DailyLimit: limit} }

// spendAll spends until the limit is reached and returns how often it could.
func spendAll(t *testing.T, c *Cache, k *Key) (spent int64) {
	t.Helper()
	for {
		reset, err := c.SpendQuota(t.Context(), k)
		switch {
		case err == nil:
			spent++
		case !errors.Is(err, ErrLimitReached) || reset <= 0 || reset > 24*time.Hour:
			t.Errorf("after %d: %v, %v", spent, reset, err)
			return spent
		default:
			return spent
		}
	}
}

// spentInRedis returns what Redis has leased out today.
func spentInRedis(t *testing.T, c *Cache, k *Key) int64 {
	t.Helper()
	text, err := c.readers.HGet(t.Context(), c.names.quota(k.Hash), "spent").Result()
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestQuotaEndsAtTheLimit(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	for _, limit := range []int64{1, 2, 31, 100, 1000} {
		k := &Key{Hash: "limit" + strconv.FormatInt(limit, 10), DailyLimit: limit}
		if spent := spendAll(t, c, k); spent != limit {
			t.Errorf("limit %d: spent %d", limit, spent)
		}
		c.RefundQuota(k, time.Now())
		if spent := spendAll(t, c, k); spent != 1 {
			t.Errorf("limit %d: after one was given back, spent %d", limit, spent)
		}
	}
	before := calls(t, c, "evalsha")
	for range 1000 {
		if _, err := c.SpendQuota(t.Context(), quotaKey(0)); err != nil {
			t.Fatal(err)
		}
		c.RefundQuota(quotaKey(0), time.Now())
	}
	if n := calls(t, c, "evalsha") - before; n != 0 {
		t.Errorf("a key without a limit asked Redis %d times", n)
	}
}

// TestQuotaIsSharedByAll is row 37: several processes, each with many requests
// at once, never pass the limit together. In the control each counts alone.
func TestQuotaIsSharedByAll(t *testing.T) {
	t.Parallel()
	const limit, processes = 2_000, 4
	spendTogether := func(prefix func(int) string) int64 {
		s := cachetest.Redis(t)
		var spent atomic.Int64
		var wg sync.WaitGroup
		for i := range processes {
			c := openIdle(t, s.URL(), func(o *Options) { o.Prefix = prefix(i) })
			for range 5 {
				wg.Go(func() { spent.Add(spendAll(t, c, quotaKey(limit))) })
			}
		}
		wg.Wait()
		return spent.Load()
	}
	if spent := spendTogether(func(int) string { return "sc" }); spent > limit || spent < limit*9/10 {
		t.Errorf("spent %d of %d", spent, limit)
	}
	if spent := spendTogether(func(i int) string { return "sc" + strconv.Itoa(i) }); spent != processes*limit {
		t.Errorf("processes that share nothing spent %d, want %d", spent, processes*limit)
	}
}

// TestALimitThatWasRaised: the refusal is not remembered for long.
func TestALimitThatWasRaised(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	spendAll(t, c, quotaKey(10))
	cachetest.Eventually(t, "the raised limit counts", func() bool {
		_, err := c.SpendQuota(t.Context(), quotaKey(20))
		return err == nil
	})
	if spent := spendAll(t, c, quotaKey(20)); spent != 9 {
		t.Errorf("spent %d more, want 9", spent)
	}
}

// TestWhatIsLeftIsGivenBack when a process ends. A crash, the control, loses it.
func TestWhatIsLeftIsGivenBack(t *testing.T) {
	t.Parallel()
	for name, orderly := range map[string]bool{"orderly end": true, "crash": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := openIdle(t, cachetest.Redis(t).URL())
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- c.quotas.run(ctx) }()
			k := quotaKey(3200)
			for range 3 {
				if _, err := c.SpendQuota(t.Context(), k); err != nil {
					t.Fatal(err)
				}
			}
			if n := spentInRedis(t, c, k); n != 100 {
				t.Errorf("leased %d, want a 32nd of the limit", n)
			}
			want := int64(100)
			if orderly {
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
				want = 3
			}
			if n := spentInRedis(t, c, k); n != want {
				t.Errorf("spent %d, want %d", n, want)
			}
			cancel()
			if !orderly {
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestIdleLeasesAreGivenBack: those that are in use are not.
func TestIdleLeasesAreGivenBack(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	idle, busy := &Key{Hash: "idle", DailyLimit: 320}, &Key{Hash: "busy", DailyLimit: 320}
	for _, k := range []*Key{idle, busy} {
		if _, err := c.SpendQuota(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	c.quotas.mu.Lock()
	c.quotas.local[idle.Hash].used = time.Now().Add(-quotaIdle)
	c.quotas.mu.Unlock()
	c.quotas.giveBack(t.Context(), quotaIdle)
	if a, b := spentInRedis(t, c, idle), spentInRedis(t, c, busy); a != 1 || b != 10 {
		t.Errorf("idle key %d, want 1; busy key %d, want 10", a, b)
	}
	c.RefundQuota(idle, time.Now()) // comes after its lease has gone: in the caller's disfavour
	if spent := spendAll(t, c, idle); spent != 319 {
		t.Errorf("spent %d of the 319 that were left", spent)
	}
}

// TestWhatWasLeasedYesterdayIsVoid: neither spent today nor given back to today.
func TestWhatWasLeasedYesterdayIsVoid(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	k := quotaKey(320)
	if _, err := c.SpendQuota(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	c.quotas.mu.Lock()
	lease := c.quotas.local[k.Hash]
	lease.day--
	lease.left, lease.ends = 1_000_000, time.Now()
	c.quotas.mu.Unlock()
	if _, _, _, err := c.quotas.ask(t.Context(), k.Hash, 0, lease.day, 9); err != nil {
		t.Fatal(err)
	}
	if n := spentInRedis(t, c, k); n != 10 {
		t.Errorf("spent %d after yesterday's were given back, want 10", n)
	}
	if spent := spendAll(t, c, k); spent != 310 {
		t.Errorf("spent %d, want the 310 that were left today", spent)
	}
}

// TestQuotaWithoutRedis: what is leased can be spent, and then it is an error
// that does not blame the caller.
func TestQuotaWithoutRedis(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bubble) {
		var n network
		c, k := b.open(t, &n), quotaKey(320)
		if _, err := c.SpendQuota(t.Context(), k); err != nil {
			t.Fatal(err)
		}
		n.begin(silent)
		for i := range 9 {
			if _, err := c.SpendQuota(t.Context(), k); err != nil {
				t.Errorf("request %d of the lease: %v", i, err)
			}
		}
		for _, k := range []*Key{k, {Hash: "new", DailyLimit: 5}} {
			if took := took(func() {
				if _, err := c.SpendQuota(t.Context(), k); err == nil || errors.Is(err, ErrLimitReached) {
					t.Errorf("without Redis and without a lease: %v", err)
				}
			}); took > 2*readLimit { // one that is on its way, and its own
				t.Errorf("took %v", took)
			}
		}
		n.end()
		cachetest.Eventually(t, "requests are let in again", func() bool {
			_, err := c.SpendQuota(t.Context(), k)
			return err == nil
		})
		if spent := spendAll(t, c, k); spent > 309 {
			t.Errorf("spent %d more than the limit", spent-309)
		}
	})
}

// TestLeaseIsGivenBackOnce: on a cluster too, where the library repeats what was
// not answered in time. A lease given back twice would let the limit be passed.
func TestLeaseIsGivenBackOnce(t *testing.T) {
	t.Parallel()
	cluster := cachetest.Cluster(t)
	c := openIdle(t, cluster.URL())
	k := &Key{Hash: "once", DailyLimit: 640}
	other := openIdle(t, cluster.URL())
	for _, who := range []*Cache{other, c} { // so that there is more to take back than one lease
		if _, err := who.SpendQuota(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	before := spentInRedis(t, c, k)
	c.quotas.mu.Lock()
	left := c.quotas.local[k.Hash].left
	c.quotas.mu.Unlock()
	node, err := primaryOf(t.Context(), other.writers, c.names.quota(k.Hash))
	if err != nil {
		t.Fatal(err)
	}
	asleep := make(chan struct{})
	for _, s := range cluster.Primaries {
		if s.Addr == node.Options().Addr {
			go func() { defer close(asleep); s.Do("DEBUG SLEEP 0.7") }()
		}
	}
	// It answers too late for the first question, and in time for a second.
	cachetest.Eventually(t, "Redis sleeps", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		return node.Ping(ctx).Err() != nil
	})
	c.quotas.giveBack(t.Context(), 0)
	<-asleep
	if after := spentInRedis(t, c, k); after < before-left { // what gets lost on the way counts as spent
		t.Errorf("%d were spent, %d were given back, and now it is %d", before, left, after)
	}
}
