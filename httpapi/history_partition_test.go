package httpapi

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"statuscache/cache"
	"statuscache/cache/cachetest"
)

// TestNoClientSeesAVersionGoBackInAPartition: clients receive states of a primary that is cut
// off from its replica. Then the replica takes over without these states. The control is the
// state of the replica.
func TestNoClientSeesAVersionGoBackInAPartition(t *testing.T) {
	t.Parallel()
	servers := cachetest.Sentinel(t)
	s := newServiceWith(t, cache.Options{URL: servers.URL()})
	ada, e := s.key("ada"), running(t, "history", "ada")
	s.apply(e)
	var done atomic.Bool
	var clients sync.WaitGroup
	histories := make([]history, 6)
	for i := range histories {
		clients.Go(func() {
			pace := time.NewTicker(10 * time.Millisecond) // leaves the processor to the others
			defer pace.Stop()
			for !done.Load() {
				histories[i].step(s, string(e.ARN), ada, i%3)
				<-pace.C
			}
		})
	}
	// until redrives the execution again and again, whether Redis confirms it or not, until
	// each client meets a condition.
	until := func(what string, met func(*history) bool) {
		cachetest.Eventually(t, what, func() bool {
			e.RedriveCount++
			s.cache.Apply(t.Context(), []cache.Execution{e})
			return !slices.ContainsFunc(pointers(histories), func(h *history) bool { return !met(h) })
		})
	}
	more := func(of func(*history) *atomic.Int64) func(*history) bool {
		before := map[*history]int64{}
		for _, h := range pointers(histories) {
			before[h] = of(h).Load()
		}
		return func(h *history) bool { return of(h).Load() >= before[h]+3 }
	}
	received, asked := func(h *history) *atomic.Int64 { return &h.received }, func(h *history) *atomic.Int64 { return &h.asked }
	until("every client has received several", more(received))

	servers.Primary.Do("ACL SETUSER default -psync -sync -replicaof -slaveof")
	servers.Primary.Do("CLIENT KILL TYPE replica")
	cachetest.Eventually(t, "the replica is gone", func() bool { return servers.Primary.Info("connected_slaves") == "0" })
	cut := e.Version()
	until("every client has received several that no replica has", more(received))
	servers.Primary.Kill()
	servers.Sentinels[0].Do("SENTINEL FAILOVER main") // without it they take no replica that was cut off for long
	cachetest.Eventually(t, "the replica takes over and is asked", func() bool {
		versions, err := s.cache.Versions(t.Context(), []cache.ARN{e.ARN})
		if err == nil && versions[0] > cut {
			t.Errorf("the control: the replica has %s, which it was cut off from after %s", versions[0], cut)
		}
		return err == nil
	})
	again := more(asked)
	cachetest.Eventually(t, "every client has requested an execution that is older now", func() bool {
		return !slices.ContainsFunc(pointers(histories), func(h *history) bool { return !again(h) })
	})
	until("every client has asked again", more(asked))
	done.Store(true)
	clients.Wait()
	for i := range histories {
		h := &histories[i]
		if n := h.backwards(); n > 0 || slices.Max(h.versions) <= cut {
			t.Errorf("client %d went back %d times in %d answers, and received at most %s", i, n, len(h.versions), slices.Max(h.versions))
		}
	}
}
