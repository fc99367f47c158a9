package cache

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/cachetest"
	"statuscache/cache/internal/redisdb"
)

// partition is a primary and its replica, and who decides that the replica takes over.
type partition struct {
	url              string
	primary, replica *cachetest.Server
	takeOver         func()
}

// cut parts the primary from its replica: the replica is thrown out and cannot come back,
// nor can anybody make the primary a replica. Clients reach both.
func (p *partition) cut() {
	p.primary.Do("ACL SETUSER default -psync -sync -replicaof -slaveof")
	p.primary.Do("CLIENT KILL TYPE replica")
}

// writer applies new executions, one after the other, until it is stopped.
type writer struct {
	confirmed []ARN
	refused   atomic.Int64
	taken     atomic.Int64
}

func (w *writer) run(t *testing.T, c *Cache, name string, of func(ARN) bool, stop *atomic.Bool) {
	for i := 0; !stop.Load(); i++ {
		arn := testARN(t, fmt.Sprintf("%s-%d", name, i))
		if !of(arn) {
			continue
		}
		for !stop.Load() {
			if c.Apply(t.Context(), []Execution{succeeded(arn, now(), `{}`)})[0].Final() {
				w.confirmed = append(w.confirmed, arn)
				w.taken.Add(1)
				break
			}
			w.refused.Add(1)
		}
	}
}

// TestNoConfirmedWriteIsLostInAPartition: a primary is cut off from its replica for so
// long that it has forgotten it, keeps taking writes, and then the replica takes over.
// Nothing that was confirmed is lost, by a process that saw the replica or by one that was
// started when it had gone. In the control the primary alone confirms.
func TestNoConfirmedWriteIsLostInAPartition(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T) partition{
		"sentinel, the primary dies": func(t *testing.T) partition {
			s := cachetest.Sentinel(t)
			return partition{s.URL(), s.Primary, s.Replica, func() { s.Failover(); s.Primary.Kill() }}
		},
		"sentinel, the primary continues": func(t *testing.T) partition {
			s := cachetest.Sentinel(t)
			return partition{s.URL(), s.Primary, s.Replica, func() { s.Sentinels[0].Do("SENTINEL FAILOVER main") }}
		},
		"cluster, the primary dies": func(t *testing.T) partition {
			c := cachetest.Cluster(t)
			return partition{c.URL(), c.Primaries[0], c.Replicas[0], func() { c.Failover(); c.Primaries[0].Kill() }}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			surviveAPartition(t, start(t))
		})
	}
}

func surviveAPartition(t *testing.T, p partition) {
	c, control := openTest(t, p.url, autoAcks), openIdle(t, p.url)
	cachetest.Eventually(t, "replicas confirm writes", func() bool { return owes(t, c) })
	there := func(arn ARN) bool { // what the primary has that will be cut off, and then its heir
		node, err := control.db.PrimaryOf(t.Context(), control.db.Names.Execution(string(arn)))
		return err == nil && (!control.db.Cluster() || redisdb.Address(node) == p.primary.Addr || redisdb.Address(node) == p.replica.Addr)
	}
	heir := redis.NewClient(&redis.Options{Addr: p.replica.Addr})
	defer func() { _ = heir.Close() }()
	var stop atomic.Bool
	var load, late, alone writer
	var all sync.WaitGroup
	all.Go(func() { load.run(t, c, "load", there, &stop) })
	cachetest.Eventually(t, "writes are confirmed", func() bool { return load.taken.Load() > 50 })

	p.cut()
	cachetest.Eventually(t, "the primary has forgotten its replica, and it is missed", func() bool {
		return p.primary.Info("connected_slaves") == "0" && missed(t, c)
	})
	fresh := openIdle(t, p.url, autoAcks)
	if err := fresh.Ping(t.Context()); !errors.Is(err, redisdb.ErrReplicas) || !strings.Contains(err.Error(), "REDIS_REPLICA_ACKS=0") {
		t.Errorf("a process that was started without the replica: %v", err)
	}
	if err := fresh.DB().Check(t.Context()); err != nil {
		t.Errorf("its check at the start: %v", err)
	}
	var stopAlone atomic.Bool
	var loner sync.WaitGroup
	loner.Go(func() { alone.run(t, control, "alone", there, &stopAlone) })
	all.Go(func() { late.run(t, fresh, "late", there, &stop) })
	before := load.refused.Load()
	cachetest.Eventually(t, "writes continue for a while", func() bool {
		return alone.taken.Load() > 20 && load.refused.Load() > before+2 && late.refused.Load() > 2
	})
	stopAlone.Store(true)
	loner.Wait()

	p.takeOver()
	cachetest.Eventually(t, "the replica takes over", func() bool {
		role, err := heir.Do(t.Context(), "ROLE").Slice()
		return err == nil && role[0] == "master"
	})
	taken := load.taken.Load()
	cachetest.Eventually(t, "it confirms writes without a replica", func() bool { return load.taken.Load() > taken+20 && late.taken.Load() > 20 })
	stop.Store(true)
	all.Wait()

	missing := func(arns []ARN) (n int) {
		for _, arn := range arns {
			if got, err := heir.Exists(t.Context(), c.db.Names.Execution(string(arn))).Result(); err != nil || got == 0 {
				n++
			}
		}
		return n
	}
	if n := missing(load.confirmed); n > 0 {
		t.Errorf("%d of %d confirmed ones are lost", n, len(load.confirmed))
	}
	if n := missing(late.confirmed); n > 0 {
		t.Errorf("%d of %d confirmed ones are lost of a process that never saw the replica", n, len(late.confirmed))
	}
	if n := missing(alone.confirmed); n < len(alone.confirmed) {
		t.Errorf("the control lost %d of %d only", n, len(alone.confirmed))
	}
}

// TestReplicaAcksAreCountedPerPrimary: a primary of a cluster that never had a replica ends the
// confirmation by replicas for nobody else; one whose replica the operator has had
// forgotten owes none from the next start on.
func TestReplicaAcksAreCountedPerPrimary(t *testing.T) {
	t.Parallel()
	servers := cachetest.Cluster(t)
	gone := servers.Replicas[2].ID()
	servers.Replicas[2].Kill()
	for _, s := range append(servers.Primaries, servers.Replicas[:2]...) {
		s.Do("CLUSTER FORGET " + gone)
	}
	cachetest.Eventually(t, "the replica is gone", func() bool { return servers.Primaries[2].Info("connected_slaves") == "0" })
	c := openTest(t, servers.URL(), autoAcks)
	demands := func() (all []int) {
		now, err := c.db.Demands(t.Context())
		if err != nil {
			return nil
		}
		for _, s := range servers.Primaries {
			all = append(all, now[s.Addr].Acks)
		}
		return all
	}
	cachetest.Eventually(t, "each owes by itself", func() bool { return fmt.Sprint(demands()) == "[1 1 0]" })
	cachetest.Eventually(t, "Redis answers", func() bool { return c.Ping(t.Context()) == nil })
	servers.Replicas[0].Freeze()
	defer servers.Replicas[0].Thaw()
	n, tried, confirmed := 0, map[string]int{}, map[string]bool{}
	cachetest.Eventually(t, "the other two confirm", func() bool { // on a busy machine, a replica may need more than one try
		n++
		arn := testARN(t, fmt.Sprint("each-", n))
		node, err := c.db.PrimaryOf(t.Context(), c.db.Names.Execution(string(arn)))
		if err != nil {
			return false
		}
		if addr := redisdb.Address(node); !confirmed[addr] {
			tried[addr]++
			confirmed[addr] = c.Apply(t.Context(), []Execution{running(arn, now())})[0].Final()
		}
		return tried[servers.Primaries[0].Addr] > 3 && confirmed[servers.Primaries[1].Addr] && confirmed[servers.Primaries[2].Addr]
	})
	if confirmed[servers.Primaries[0].Addr] {
		t.Error("a primary confirms although its replica does not")
	}
}
