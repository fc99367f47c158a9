package apikeys

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"statuscache/cache/cachetest"
	"statuscache/cache/internal/redisdb"
)

func quotaKey(limit int64) *Key { return &Key{Hash: "ab12", DailyLimit: limit} }

// spendAll spends until the limit is reached and returns how often it could.
func spendAll(t *testing.T, ks *Keys, k *Key) (spent int64) {
	t.Helper()
	for {
		reset, err := ks.SpendQuota(t.Context(), k)
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
func spentInRedis(t *testing.T, ks *Keys, k *Key) int64 {
	t.Helper()
	text, err := ks.db.Readers.HGet(t.Context(), ks.db.Names.Quota(k.Hash), "spent").Result()
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
	cachetest.InBubble(t, quotaEndsAtTheLimit)
}

func quotaEndsAtTheLimit(t *testing.T, b *cachetest.Bubble) {
	var n cachetest.Network
	ks := openBubble(t, b, &n)
	for _, limit := range []int64{1, 2, 31, 100, 1000} {
		k := &Key{Hash: "limit" + strconv.FormatInt(limit, 10), DailyLimit: limit}
		if spent := spendAll(t, ks, k); spent != limit {
			t.Errorf("limit %d: spent %d", limit, spent)
		}
		ks.RefundQuota(k, time.Now())
		if spent := spendAll(t, ks, k); spent != 1 {
			t.Errorf("limit %d: after one was given back, spent %d", limit, spent)
		}
	}
	n.Begin(cachetest.Silent) // every call to Redis fails
	for range 1000 {
		if _, err := ks.SpendQuota(t.Context(), quotaKey(0)); err != nil {
			t.Fatalf("a key without a limit: %v", err)
		}
		ks.RefundQuota(quotaKey(0), time.Now())
	}
}

// TestQuotaIsSharedByAll: several processes, each with many requests
// at once, never pass the limit together. In the control each counts alone.
func TestQuotaIsSharedByAll(t *testing.T) {
	t.Parallel()
	cachetest.ClearOfMidnight(t)
	const limit, processes = 2_000, 4
	spendTogether := func(prefix func(int) string) int64 {
		s := cachetest.Redis(t)
		var spent atomic.Int64
		var wg sync.WaitGroup
		for i := range processes {
			ks := openIdle(t, s.URL(), func(s *setUp) { s.redis.Prefix = prefix(i) })
			for range 5 {
				wg.Go(func() { spent.Add(spendAll(t, ks, quotaKey(limit))) })
			}
		}
		wg.Wait()
		return spent.Load()
	}
	if spent := spendTogether(func(int) string { return "sc" }); spent != limit {
		t.Errorf("spent %d, want %d", spent, limit)
	}
	if spent := spendTogether(func(i int) string { return "sc" + strconv.Itoa(i) }); spent != processes*limit {
		t.Errorf("processes that share nothing spent %d, want %d", spent, processes*limit)
	}
}

// TestALimitThatWasRaised: the refusal is not remembered for long.
func TestALimitThatWasRaised(t *testing.T) {
	t.Parallel()
	cachetest.InBubble(t, func(t *testing.T, b *cachetest.Bubble) {
		ks := openBubble(t, b, new(cachetest.Network))
		spendAll(t, ks, quotaKey(10))
		if after := cachetest.Took(func() {
			cachetest.Eventually(t, "the raised limit counts", func() bool {
				_, err := ks.SpendQuota(t.Context(), quotaKey(20))
				return err == nil
			})
		}); after > 2*limitReachedLife {
			t.Errorf("the raised limit counts after %v", after)
		}
		if spent := spendAll(t, ks, quotaKey(20)); spent != 9 {
			t.Errorf("spent %d more, want 9", spent)
		}
	})
}

// TestAnUnusedLeaseIsReturned when a process ends. A crash, the control, loses it.
func TestAnUnusedLeaseIsReturned(t *testing.T) {
	t.Parallel()
	for name, orderly := range map[string]bool{"orderly end": true, "crash": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cachetest.InBubble(t, func(t *testing.T, b *cachetest.Bubble) {
				ks := openBubble(t, b, new(cachetest.Network))
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() { ended <- ks.quotas.run(ctx) }()
				k := quotaKey(3200)
				for range 3 {
					if _, err := ks.SpendQuota(t.Context(), k); err != nil {
						t.Fatal(err)
					}
				}
				if n := spentInRedis(t, ks, k); n != 100 {
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
				if n := spentInRedis(t, ks, k); n != want {
					t.Errorf("spent %d, want %d", n, want)
				}
				cancel()
				if !orderly {
					if err := <-ended; err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}

// TestIdleLeasesAreGivenBack: those that are in use are not.
func TestIdleLeasesAreGivenBack(t *testing.T) {
	t.Parallel()
	cachetest.InBubble(t, func(t *testing.T, b *cachetest.Bubble) {
		ks := openBubble(t, b, new(cachetest.Network))
		idle, busy := &Key{Hash: "idle", DailyLimit: 320}, &Key{Hash: "busy", DailyLimit: 320}
		for _, k := range []*Key{idle, busy} {
			if _, err := ks.SpendQuota(t.Context(), k); err != nil {
				t.Fatal(err)
			}
		}
		ks.quotas.mu.Lock()
		ks.quotas.local[idle.Hash].used = time.Now().Add(-quotaIdle)
		ks.quotas.mu.Unlock()
		ks.quotas.giveBack(t.Context(), quotaIdle)
		if a, b := spentInRedis(t, ks, idle), spentInRedis(t, ks, busy); a != 1 || b != 10 {
			t.Errorf("idle key %d, want 1; busy key %d, want 10", a, b)
		}
		ks.RefundQuota(idle, time.Now()) // comes after its lease has gone: in the caller's disfavour
		if spent := spendAll(t, ks, idle); spent != 319 {
			t.Errorf("spent %d of the 319 that were left", spent)
		}
	})
}

// TestALeaseOfYesterdayIsVoid: neither spent today nor given back to today.
func TestALeaseOfYesterdayIsVoid(t *testing.T) {
	t.Parallel()
	cachetest.InBubble(t, func(t *testing.T, b *cachetest.Bubble) {
		ks := openBubble(t, b, new(cachetest.Network))
		k := quotaKey(320)
		if _, err := ks.SpendQuota(t.Context(), k); err != nil {
			t.Fatal(err)
		}
		ks.quotas.mu.Lock()
		lease := ks.quotas.local[k.Hash]
		lease.day--
		lease.left, lease.ends = 1_000_000, time.Now()
		ks.quotas.mu.Unlock()
		if _, _, _, err := ks.quotas.ask(t.Context(), k.Hash, 0, lease.day, 9); err != nil {
			t.Fatal(err)
		}
		if n := spentInRedis(t, ks, k); n != 10 {
			t.Errorf("spent %d after yesterday's were given back, want 10", n)
		}
		if spent := spendAll(t, ks, k); spent != 310 {
			t.Errorf("spent %d, want the 310 that were left today", spent)
		}
	})
}

// TestQuotaWithoutRedis: what is leased can be spent, and then it is an error
// that does not blame the caller.
func TestQuotaWithoutRedis(t *testing.T) {
	t.Parallel()
	cachetest.InBubble(t, func(t *testing.T, b *cachetest.Bubble) {
		var n cachetest.Network
		ks, k := openBubble(t, b, &n), quotaKey(320)
		if _, err := ks.SpendQuota(t.Context(), k); err != nil {
			t.Fatal(err)
		}
		n.Begin(cachetest.Silent)
		for i := range 9 {
			if _, err := ks.SpendQuota(t.Context(), k); err != nil {
				t.Errorf("request %d of the lease: %v", i, err)
			}
		}
		for _, k := range []*Key{k, {Hash: "new", DailyLimit: 5}} {
			if took := cachetest.Took(func() {
				if _, err := ks.SpendQuota(t.Context(), k); err == nil || errors.Is(err, ErrLimitReached) {
					t.Errorf("without Redis and without a lease: %v", err)
				}
			}); took > 2*redisdb.DefaultReadLimit { // one that is on its way, and its own
				t.Errorf("took %v", took)
			}
		}
		n.End()
		cachetest.Eventually(t, "requests are let in again", func() bool {
			_, err := ks.SpendQuota(t.Context(), k)
			return err == nil
		})
		if spent := spendAll(t, ks, k); spent > 309 {
			t.Errorf("spent %d more than the limit", spent-309)
		}
	})
}

// TestLeaseIsGivenBackOnce: on a cluster too, where the library repeats what was
// not answered. A lease given back twice would let the limit be passed.
func TestLeaseIsGivenBackOnce(t *testing.T) {
	t.Parallel()
	cachetest.ClearOfMidnight(t)
	url := cachetest.Cluster(t).URL()
	var n cachetest.Network
	ks, other := openIdle(t, url, through(&n)), openIdle(t, url)
	k := &Key{Hash: "once", DailyLimit: 640}
	for _, process := range []*Keys{other, ks} { // so that there is more to take back than one lease
		if _, err := process.SpendQuota(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	before := spentInRedis(t, other, k)
	ks.quotas.mu.Lock()
	lease := *ks.quotas.local[k.Hash]
	ks.quotas.mu.Unlock()
	key := ks.db.Names.Quota(k.Hash)
	n.Begin(cachetest.DropOne(key))
	ks.quotas.giveBack(t.Context(), 0)
	if after := spentInRedis(t, other, k); after != before-lease.left {
		t.Errorf("%d were spent, %d were given back, and now it is %d", before, lease.left, after)
	}
	before = spentInRedis(t, other, k)
	n.Begin(cachetest.DropOne(key)) // the control: the library by itself
	if err := quotaScript.Run(t.Context(), ks.db.Writers, []string{key}, 0, lease.day, 1).Err(); err != nil {
		t.Fatal(err)
	}
	if after := spentInRedis(t, other, k); after != before-2 {
		t.Errorf("of %d one was given back, and now it is %d: the library repeated nothing, so nothing was shown", before, after)
	}
}

// TestTheLimitHoldsThroughCrashes of half of the processes, and of Redis, which comes back
// with its file. In the control it comes back empty.
func TestTheLimitHoldsThroughCrashes(t *testing.T) {
	t.Parallel()
	cachetest.ClearOfMidnight(t)
	const limit, processes = 2_000, 8
	for name, kept := range map[string]bool{"Redis keeps its file": true, "control: it does not": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			appendOnly := map[bool]string{true: "yes", false: "no"}
			s := cachetest.Redis(t, "--appendonly", appendOnly[kept])
			k := quotaKey(limit)
			var all []*Keys
			for range processes {
				all = append(all, openIdle(t, s.URL()))
			}
			var spent atomic.Int64
			spend := func(processes []*Keys, most int) {
				var wg sync.WaitGroup
				for _, ks := range processes {
					wg.Go(func() {
						for range most {
							_, err := ks.SpendQuota(t.Context(), k)
							switch {
							case err == nil:
								spent.Add(1)
							case errors.Is(err, ErrLimitReached):
								return
							} // else Redis is away: not let in
						}
					})
				}
				wg.Wait()
			}
			spend(all, 150)
			s.Kill()
			spend(all[:processes/2], 10) // of what they have leased; then they crash
			s.Start()
			alive := all[processes/2:]
			cachetest.Eventually(t, "Redis is back", func() bool {
				for _, ks := range alive {
					if ks.db.Ping(t.Context()) != nil {
						return false
					}
				}
				return true
			})
			spend(alive, limit)
			if n := spent.Load(); (n > limit) == kept || n < limit/2 {
				t.Errorf("spent %d of %d", n, limit)
			}
		})
	}
}
