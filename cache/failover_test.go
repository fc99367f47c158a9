package cache

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"statuscache/cache/cachetest"
	"statuscache/cache/internal/redisdb"
)

func TestStoreOnACluster(t *testing.T) {
	t.Parallel()
	storeSuite(t, cachetest.Cluster(t).URL())
}

func TestStoreBehindSentinel(t *testing.T) {
	t.Parallel()
	storeSuite(t, cachetest.Sentinel(t).URL())
}

func autoAcks(o *Options) { o.ReplicaAcks = AutoAcks }

// owes reports whether every primary that c writes to must have its writes confirmed by
// a replica.
func owes(t *testing.T, c *Cache) bool {
	t.Helper()
	demands, err := c.db.Demands(t.Context())
	for _, d := range demands {
		if d.Acks != 1 {
			return false
		}
	}
	return err == nil
}

// missed reports whether c knows a primary whose replica is gone.
func missed(t *testing.T, c *Cache) bool {
	t.Helper()
	demands, err := c.db.Demands(t.Context())
	for _, d := range demands {
		if d.Acks > 0 && d.Gone {
			return err == nil
		}
	}
	return false
}

// TestAPrimaryDies: everything that was confirmed is there after the replica has taken over, and
// writes are confirmed again. How soon is logged; TestANewPrimaryIsFoundByAsking shows that it is
// sooner than the library would find the replica by itself.
func TestAPrimaryDies(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T) (url string, primary, replica *cachetest.Server, failover func()){
		"cluster": func(t *testing.T) (string, *cachetest.Server, *cachetest.Server, func()) {
			c := cachetest.Cluster(t)
			return c.URL(), c.Primaries[0], c.Replicas[0], c.Failover
		},
		"sentinel": func(t *testing.T) (string, *cachetest.Server, *cachetest.Server, func()) {
			s := cachetest.Sentinel(t)
			return s.URL(), s.Primary, s.Replica, s.Failover
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, primary, replica, failover := start(t)
			c := openTest(t, url, autoAcks)
			cachetest.Eventually(t, "replicas confirm writes", func() bool { return owes(t, c) })
			confirmed, gap := applyThrough(t, c, func() {
				failover()
				primary.Kill()
			})
			cachetest.Eventually(t, "readers know the new primary, too", func() bool {
				for _, found := range c.GetMany(t.Context(), confirmed[:min(len(confirmed), 200)]) {
					if found.Err != nil && !errors.Is(found.Err, ErrNotFound) {
						return false
					}
				}
				return true
			})
			if n := lost(t, c, confirmed); n > 0 {
				t.Errorf("%d of %d are lost", n, len(confirmed))
			}
			t.Logf("writes failed for %v", gap)
			if role := replica.Info("role"); role != "master" {
				t.Errorf("the replica is a %s: it did not take over", role)
			}
			cachetest.Eventually(t, "the change feed works", func() bool { return c.db.Ready() == nil })
		})
	}
}

// applyThrough applies executions from several goroutines, again and again until
// each is confirmed, and has something happen on the way. It returns them and
// the longest time that one needed.
func applyThrough(t *testing.T, c *Cache, happen func()) (all []ARN, longest time.Duration) {
	t.Helper()
	const each = 400
	var confirmed atomic.Int64
	var mu sync.Mutex
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range each {
				arn, begun := testARN(t, fmt.Sprintf("through-%d-%d", worker, i)), time.Now()
				for !c.Apply(t.Context(), []Execution{succeeded(arn, now(), `{}`)})[0].Final() {
					if time.Since(begun) > givenUp {
						t.Errorf("%s is not confirmed", arn)
						return
					}
					<-time.After(10 * time.Millisecond) // as the queue would let some time pass
				}
				mu.Lock()
				all, longest = append(all, arn), max(longest, time.Since(begun))
				mu.Unlock()
				if confirmed.Add(1) == each {
					happen()
				}
			}
		})
	}
	wg.Wait()
	return all, longest
}

// TestAFrozenReplica: what the replica does not confirm is not
// confirmed. The control does not ask for it.
func TestAFrozenReplica(t *testing.T) {
	t.Parallel()
	primary := cachetest.Redis(t)
	host, port, _ := net.SplitHostPort(primary.Addr)
	replica := cachetest.Redis(t, "--replicaof", host, port)
	acks := func(n int) func(*Options) { return func(o *Options) { o.ReplicaAcks = n } }
	auto, always, never := openTest(t, primary.URL(), acks(AutoAcks)), openIdle(t, primary.URL(), acks(1)), openIdle(t, primary.URL())
	takesWrites := func(c *Cache) func() bool {
		e := running(testARN(t, "replicated"), now())
		return func() bool { return c.Ping(t.Context()) == nil && c.Apply(t.Context(), []Execution{e})[0].Final() }
	}
	cachetest.Eventually(t, "the replica confirms", func() bool {
		return auto.db.Check(t.Context()) == nil && owes(t, auto) && takesWrites(always)()
	})
	replica.Freeze()
	for name, c := range map[string]*Cache{"counted": auto, "required": always} {
		o := c.Apply(t.Context(), []Execution{running(testARN(t, "frozen"), now())})[0]
		if o.Final() {
			t.Errorf("%s: %s", name, o.Verdict)
		}
		if c.Ping(t.Context()) == nil {
			t.Errorf("%s: the ping that ingest relies on says that writes are confirmed", name)
		}
		if _, err := c.Register(t.Context(), Registration{ARN: testARN(t, "registered"), Owner: "ada"}); err == nil {
			t.Errorf("%s: the registration is confirmed", name)
		}
	}
	if !takesWrites(never)() {
		t.Error("without confirmation by replicas writes fail too: the fault is another one")
	}
	replica.Thaw()
	cachetest.Eventually(t, "the replica confirms again", takesWrites(always))
	replica.Kill()
	cachetest.Eventually(t, "the replica is missed", func() bool { return primary.Info("connected_slaves") == "0" && missed(t, auto) })
	for name, c := range map[string]*Cache{"counted": auto, "required": always} {
		if takesWrites(c)() {
			t.Errorf("%s: confirmed by a replica that is gone", name)
		}
	}
}

// TestANewPrimaryIsFoundByAsking: who asks a cluster each second for its primaries
// writes to the new one. The control does not ask within the test, as the library would
// not within a minute, and keeps writing to the dead one.
func TestANewPrimaryIsFoundByAsking(t *testing.T) {
	t.Parallel()
	servers := cachetest.Cluster(t)
	open := func(reload time.Duration) *Cache {
		return openIdle(t, servers.URL(), func(o *Options) { o.Reload, o.WriteLimit = reload, redisdb.DefaultWriteLimit })
	}
	asks, control := open(0), open(time.Hour)
	e := running(testARN(t, "found"), now())
	write := func(c *Cache) bool {
		e.RedriveCount++
		return c.Apply(t.Context(), []Execution{e})[0].Final()
	}
	for _, c := range []*Cache{asks, control} {
		cachetest.Eventually(t, "writes are confirmed", func() bool { return write(c) })
	}
	node, err := control.db.PrimaryOf(t.Context(), control.db.Names.Execution(string(e.ARN)))
	if err != nil {
		t.Fatal(err)
	}
	servers.Failover()
	for _, s := range servers.Primaries {
		if s.Addr == redisdb.Address(node) {
			s.Kill()
		}
	}
	cachetest.Eventually(t, "writes are confirmed by the new primary", func() bool { return write(asks) })
	for range 20 {
		if write(control) {
			t.Fatal("the control writes to the new primary, too")
		}
	}
	cachetest.Eventually(t, "the new primary still confirms writes", func() bool { return write(asks) })
}
