package cache

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/apikeys"
	"statuscache/cache/cachetest"
	"statuscache/cache/internal/redisdb"
)

// movingSlot is a slot on its way from one primary to another.
type movingSlot struct {
	t        *testing.T
	slot     string
	from, to *cachetest.Server
	source   *redis.Client
	others   []*cachetest.Server
}

// beginMove has the slot of a key begin to move.
func beginMove(t *testing.T, servers *cachetest.ClusterServers, key string) *movingSlot {
	t.Helper()
	slot := strings.TrimPrefix(servers.Primaries[0].Do("CLUSTER KEYSLOT "+key), ":")
	n, err := strconv.Atoi(slot)
	if err != nil {
		t.Fatal(err)
	}
	owner := 0
	for i := range servers.Primaries {
		if n >= i*16384/len(servers.Primaries) {
			owner = i
		}
	}
	m := &movingSlot{t: t, slot: slot, from: servers.Primaries[owner], to: servers.Primaries[(owner+1)%len(servers.Primaries)]}
	m.others = servers.Primaries
	m.source = redis.NewClient(&redis.Options{Addr: m.from.Addr})
	t.Cleanup(func() { _ = m.source.Close() })
	m.to.Do("CLUSTER SETSLOT " + slot + " IMPORTING " + m.from.ID())
	m.from.Do("CLUSTER SETSLOT " + slot + " MIGRATING " + m.to.ID())
	return m
}

// move moves so many keys of the slot, and returns how many it has moved.
func (m *movingSlot) move(most int) int {
	m.t.Helper()
	keys, err := m.source.Do(m.t.Context(), "CLUSTER", "GETKEYSINSLOT", m.slot, most).StringSlice()
	if err != nil {
		m.t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(m.to.Addr)
	for _, key := range keys {
		if err := m.source.Migrate(m.t.Context(), host, port, key, 0, 0).Err(); err != nil {
			m.t.Fatalf("migrate %s: %v", key, err)
		}
	}
	return len(keys)
}

// end moves what is left, and gives the slot to where its keys are.
func (m *movingSlot) end() {
	m.t.Helper()
	for m.move(100) > 0 {
	}
	id := m.to.ID()
	m.to.Do("CLUSTER SETSLOT " + m.slot + " NODE " + id)
	for _, s := range m.others {
		s.Do("CLUSTER SETSLOT " + m.slot + " NODE " + id)
	}
}

// givenUp is when a test gives up a write that must be confirmed in the end.
const givenUp = 5 * time.Minute

// confirmed repeats a write for as long as replicas are late, which a busy machine makes them.
func confirmed(write func() error) (err error) {
	for begun := time.Now(); ; <-time.After(time.Millisecond) {
		if err = write(); !errors.Is(err, redisdb.ErrReplicas) || time.Since(begun) > givenUp {
			return err
		}
	}
}

// TestASlotThatMovesTurnsNothingAway: while a slot is on its way to another primary, in no
// hurry and with some keys here and some there, registrations, events and daily limits are
// taken as ever, and the indexes have what the records say. In the control a script is sent
// as a cluster's client would send it.
func TestASlotThatMovesTurnsNothingAway(t *testing.T) {
	t.Parallel()
	cachetest.ClearOfMidnight(t)
	servers := cachetest.Cluster(t)
	c, keys := openWithKeys(t, servers.URL(), autoAcks)
	cachetest.Eventually(t, "replicas confirm writes", func() bool { return owes(t, c) })
	var limited apikeys.Key
	err := confirmed(func() (err error) {
		_, limited, err = keys.Create(t.Context(), apikeys.Key{Owner: "ada", Scope: apikeys.ScopeRead, DailyLimit: 31}) // so little is leased one by one
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := confirmed(func() error { _, err := keys.SpendQuota(t.Context(), &limited); return err }); err != nil {
		t.Fatal(err)
	}
	var arns []ARN // of one partition
	for i := 0; len(arns) < 400; i++ {
		if arn := testARN(t, fmt.Sprint("moving-", i)); c.db.Names.Partition(string(arn)) == &c.db.Names.Partitions[7] {
			arns = append(arns, arn)
		}
	}
	start := now()
	ends := func(arn ARN, i int) Execution {
		if i%2 == 0 {
			return running(arn, start)
		}
		return succeeded(arn, start, `{}`)
	}
	var turn, stop atomic.Int64
	var load sync.WaitGroup
	for range 2 {
		load.Go(func() {
			for stop.Load() == 0 {
				i := int(turn.Add(1)) - 1
				if i >= len(arns) {
					turn.Store(int64(len(arns)))
					return
				}
				err := confirmed(func() error {
					_, err := c.Register(t.Context(), Registration{ARN: arns[i], Owner: "ada"})
					return err
				})
				for _, e := range []Execution{running(arns[i], start), ends(arns[i], i)} {
					err = errors.Join(err, confirmed(func() error { return c.Apply(t.Context(), []Execution{e})[0].Err }))
				}
				if i%10 == 0 {
					err = errors.Join(err, confirmed(func() error {
						_, err := keys.SpendQuota(t.Context(), &limited)
						return err
					}))
				}
				if err != nil {
					t.Errorf("execution %d: %v", i, err)
				}
			}
		})
	}
	more := func(n int64) {
		t.Helper()
		until := min(turn.Load()+n, int64(len(arns)))
		cachetest.Eventually(t, "writes are taken", func() bool { return turn.Load() >= until })
	}
	more(40)
	moves := []*movingSlot{beginMove(t, servers, c.db.Names.Partitions[7].Running), beginMove(t, servers, c.db.Names.Quota(limited.Hash))}
	more(40)
	for _, m := range moves {
		m.move(15)
	}
	more(40)
	names, args := c.arguments([]*write{c.registration(Registration{ARN: arns[len(arns)-1], Owner: "ada"}, target{})})
	if err := applyScript.Eval(t.Context(), c.db.Writers, names, args...).Err(); err == nil {
		t.Error("the control: the script ran although its keys are in two places")
	}
	for _, m := range moves {
		m.end()
	}
	more(40)
	stop.Store(1)
	load.Wait()
	expectIndexed(t, c, arns[:turn.Load()])
}

// expectIndexed checks that records are there, and the running and recent index have what
// they say.
func expectIndexed(t *testing.T, c *Cache, arns []ARN) {
	t.Helper()
	if n := lost(t, c, arns); n > 0 {
		t.Errorf("%d of %d are lost", n, len(arns))
	}
	members := func(key string) map[string]bool {
		found := map[string]bool{}
		for _, arn := range indexMembers(t, c, key) {
			found[string(arn)] = true
		}
		return found
	}
	p := c.db.Names.Partition(string(arns[0]))
	runs, recent := members(p.Running), members(p.Recent)
	for i, arn := range arns {
		if runs[string(arn)] != (i%2 == 0) || !recent[string(arn)] {
			t.Errorf("execution %d: among the running %v, among the recent %v", i, runs[string(arn)], recent[string(arn)])
		}
	}
}
