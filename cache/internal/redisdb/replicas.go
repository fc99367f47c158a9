package redisdb

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/internal/monotonic"
)

// With AutoAcks, a replica must confirm each write if the primary has had a replica,
// connected or not. A primary that is cut off from its replica looks like one that never
// had any, and its writes are lost when the replica takes over. So the primary itself
// stores that it has had a replica, where every process that can write to it finds this.
// A process that finds nothing asks the Sentinels or the cluster, which also list
// disconnected replicas.
//
// A replica that takes over is a new primary. Until a replica follows it, it needs no
// confirmation. It is recognized by the ID of its replication history: Redis changes the
// ID at a takeover, and keeps the previous one.
//
// A replica that never comes back is given up after replicaMemory. An operator who does not
// want to wait removes it (CLUSTER FORGET, SENTINEL RESET) before the first process starts,
// or sets REDIS_REPLICA_ACKS=0.

const (
	// replicaMemory is how long the writes of a primary need the confirmation of a
	// replica after its last replica has disconnected.
	replicaMemory = time.Hour
	watchEvery    = 2 * time.Second // until then writes do not wait for a new replica
	demandLife    = 3 * watchEvery  // after that, the primary is asked again before a write
	lookTrips     = 4               // answers that look up a demand, each within the limit of a write
)

//go:embed replicas.lua
var replicasSource string

// replicasScript returns which confirmation a primary needs. Its contract is in its first comment.
var replicasScript = redis.NewScript(replicasSource)

// Demand is what is required before a write to a primary is confirmed.
type Demand struct {
	Acks   int
	Gone   bool      // no replica is connected
	Until  time.Time // with gone: when it is given up, by the clock of this process
	looked int64     // by the monotonic clock, when the primary was asked

	// For a primary that took over and needs no confirmation: the key of the ID of its
	// history, and the ID. A write is not confirmed if it reached another server through
	// an older connection, such as the previous primary.
	key, history string
}

// ask appends to a pipeline the commands that show whether the demand is met. After the
// pipeline has run, the returned function reports that.
func (d Demand) ask(ctx context.Context, pipe redis.Pipeliner) func() error {
	switch {
	case d.Acks > 0:
		wait := pipe.Do(ctx, "WAIT", d.Acks, ackLimit.Milliseconds())
		return func() error {
			n, err := wait.Int()
			switch {
			case err != nil:
				return fmt.Errorf("wait for replicas: %w", err)
			case n < d.Acks:
				return &replicasError{n, d}
			}
			return nil
		}
	case d.history != "":
		history := pipe.HGet(ctx, d.key, "history")
		return func() error {
			switch now, err := history.Result(); {
			case err != nil && !errors.Is(err, redis.Nil):
				return fmt.Errorf("read the primary's history: %w", err)
			case now != d.history:
				return errOtherPrimary
			}
			return nil
		}
	}
	return func() error { return nil }
}

var errOtherPrimary = errors.New("the answer came from another server than the current primary")

// replicasError is the error of a write that too few replicas have confirmed.
type replicasError struct {
	confirmed int
	Demand
}

func (e *replicasError) Error() string {
	if e.Gone {
		return fmt.Sprintf("the Redis replica is not connected, so writes are not confirmed (a failover would lose them); "+
			"reconnect the replica, or set REDIS_REPLICA_ACKS=0 to continue without a replica (statusd does this automatically at %s)",
			e.Until.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("%d of %d replicas of Redis confirmed a write within %v; check that they run and do not lag", e.confirmed, e.Acks, ackLimit)
}

func (e *replicasError) Unwrap() error { return ErrReplicas }

// demand returns the demand of a primary. It is looked up unless that was done recently.
func (p *primaries) demand(ctx context.Context, node Client) (Demand, error) {
	if p.acks != AutoAcks {
		return Demand{Acks: p.acks}, nil
	}
	p.mu.Lock()
	d, known := p.demands[Address(node)]
	p.mu.Unlock()
	if known && monotonic.Now()-d.looked < int64(demandLife) {
		return d, nil
	}
	return p.look(ctx, node)
}

// look reads the replicas of a primary and remembers its demand.
func (p *primaries) look(ctx context.Context, node Client) (Demand, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTrips*p.address.writeLimit) // and each answer has its own limit
	defer cancel()
	looked := monotonic.Now()
	i, err := ServerInfo(ctx, node)
	if err != nil {
		return Demand{}, err
	}
	d, err := p.owed(ctx, node, i)
	if err != nil {
		return Demand{}, fmt.Errorf("read the replicas: %w", err)
	}
	d.looked = looked
	p.mu.Lock()
	defer p.mu.Unlock()
	p.demands[Address(node)] = d
	return d, nil
}

// owed reads the demand of a primary, given its INFO.
func (p *primaries) owed(ctx context.Context, node Client, i Info) (Demand, error) {
	if i["master_replid"] == "" { // the Redis of a laptop
		return Demand{Acks: min(i.Number("connected_slaves"), 1)}, nil
	}
	key, err := p.replicaKey(ctx, node)
	if err != nil {
		return Demand{}, err
	}
	ask := func(listed string) ([]int64, error) {
		return replicasScript.Run(ctx, node, []string{key}, i["master_replid"], i["master_replid2"], i.Number("uptime_in_seconds"),
			min(i.onlineReplicas(), 1), listed, replicaMemory.Milliseconds()).Int64Slice()
	}
	answer, err := ask("?")
	if err == nil && len(answer) == 2 && answer[0] < 0 {
		listed := "0"
		if p.listsReplicas(ctx, node) {
			listed = "1"
		}
		answer, err = ask(listed)
	}
	if err != nil {
		return Demand{}, err
	}
	if len(answer) != 2 {
		return Demand{}, ErrAnswer
	}
	d := Demand{Acks: int(answer[0]), Gone: i.onlineReplicas() == 0, Until: time.Now().Add(time.Duration(answer[1]) * time.Millisecond)}
	if d.Acks == 0 && p.address.mode != cluster && strings.Trim(i["master_replid2"], "0") != "" {
		d.key, d.history = key, i["master_replid"]
	}
	return d, nil
}

// MissedReplica returns an error if a primary has lost its replica and its writes are not
// confirmed because of that. now is the time by the clock of Redis. It changes nothing.
func (db *DB) MissedReplica(ctx context.Context, node Client, i Info, now time.Time) (missed, err error) {
	p := db.primaries
	if p.acks != AutoAcks || i["master_replid"] == "" || i.onlineReplicas() > 0 {
		return nil, nil
	}
	key, err := p.replicaKey(ctx, node)
	if err != nil {
		return nil, err
	}
	stored, err := node.HMGet(ctx, key, "history", "seen").Result()
	if err != nil {
		return nil, fmt.Errorf("read the replicas: %w", err)
	}
	history, _ := stored[0].(string)
	seen, _ := stored[1].(string)
	until := Time(seen).Add(replicaMemory)
	if history == i["master_replid2"] || !until.After(now) { // it took over and needs no confirmation, or the time is up
		return nil, nil
	}
	return &replicasError{0, Demand{Acks: 1, Gone: true, Until: until}}, nil
}

// replicaKey returns the key in which a primary stores its replica history.
func (p *primaries) replicaKey(ctx context.Context, node Client) (string, error) {
	for i := range p.names.Partitions {
		key := p.names.Partitions[i].Replica
		at, err := primaryOf(ctx, p.client, key)
		if err != nil {
			return "", err
		}
		if Address(at) == Address(node) {
			return key, nil
		}
	}
	return "", errors.New("it serves no slot that this service uses")
}

// onlineReplicas returns how many replicas follow. A replica in its first synchronization
// does not count.
func (i Info) onlineReplicas() (n int) {
	if i["slave0"] == "" {
		return i.Number("connected_slaves")
	}
	for r := range i.Number("connected_slaves") {
		if strings.Contains(i["slave"+strconv.Itoa(r)], "state=online") {
			n++
		}
	}
	return n
}

// listsReplicas reports whether the Sentinels or the cluster list a replica of a primary,
// connected or not. If they do not answer, it returns false.
func (p *primaries) listsReplicas(ctx context.Context, node Client) bool {
	switch p.address.mode {
	case cluster:
		nodes, err := node.ClusterNodes(ctx).Result()
		return err == nil && clusterListsReplica(nodes)
	case sentinel:
		return p.address.sentinelsListReplica(ctx, p.dial)
	case oneNode:
	}
	return false
}

// clusterListsReplica searches CLUSTER NODES for replicas of the node that answered.
func clusterListsReplica(nodes string) bool {
	const id, flags, primary = 0, 2, 3
	myself, primaries := "", []string{}
	for line := range strings.Lines(nodes) {
		fields := strings.Fields(line)
		if len(fields) <= primary {
			continue
		}
		if strings.Contains(fields[flags], "myself") {
			myself = fields[id]
		}
		if strings.Contains(fields[flags], "slave") {
			primaries = append(primaries, fields[primary])
		}
	}
	return slices.Contains(primaries, myself)
}

// Demands returns the demand of every primary, by its address. It is empty unless
// REDIS_REPLICA_ACKS is auto.
func (db *DB) Demands(ctx context.Context) (map[string]Demand, error) {
	all, mu := map[string]Demand{}, sync.Mutex{}
	if db.primaries.acks != AutoAcks {
		return all, nil
	}
	err := db.EachPrimary(ctx, func(ctx context.Context, node Client) error {
		d, err := db.primaries.look(ctx, node)
		mu.Lock()
		defer mu.Unlock()
		all[Address(node)] = d
		return err
	})
	return all, err
}

// watch keeps the demand of every primary current.
func (p *primaries) watch(ctx context.Context) {
	if p.acks != AutoAcks {
		return
	}
	_ = eachPrimary(ctx, p.client, func(ctx context.Context, node Client) error {
		_, err := p.look(ctx, node)
		return err
	})
}
