package cache

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

var errReplicas = errors.New("too few replicas confirmed the write")

// byPrimary calls f for the writes of each primary with a client of exactly
// that one, concurrently where there are several. key tells what a write is
// about to touch.
//
// ClusterClient cannot be used for it: it would send a WAIT to any node, and it
// follows redirections, which would leave the write and its WAIT on different
// nodes. So a redirection counts as not confirmed, and the writer comes again.
func (c *Cache) byPrimary(ctx context.Context, writes []*write, key func(*write) string,
	f func(context.Context, *redis.Client, []*write)) {
	if node, ok := c.writers.(*redis.Client); ok {
		if len(writes) > 0 {
			f(ctx, node, writes)
		}
		return
	}
	nodes := c.writers.(*redis.ClusterClient)
	groups := map[*redis.Client][]*write{}
	for _, w := range writes {
		node, err := nodes.MasterForKey(ctx, key(w))
		if err != nil {
			w.err = fmt.Errorf("find the primary: %w", err)
			continue
		}
		groups[node] = append(groups[node], w)
	}
	var wg sync.WaitGroup
	for node, group := range groups {
		wg.Go(func() { f(ctx, node, group) })
	}
	wg.Wait()
	for _, w := range writes {
		if movedAway(w.err) {
			nodes.ReloadState(ctx)
			return
		}
	}
}

func movedAway(err error) bool {
	return redis.HasErrorPrefix(err, "MOVED") || redis.HasErrorPrefix(err, "ASK") || redis.HasErrorPrefix(err, "READONLY")
}

// confirmed runs a pipeline on one primary. Where replicas must confirm, WAIT
// goes through the same connection, since it speaks only of what that one
// wrote. Errors of single commands are left to their reader.
func (c *Cache) confirmed(ctx context.Context, node *redis.Client, fill func(redis.Pipeliner)) error {
	pipe := node.Pipeline()
	fill(pipe)
	acks := int(c.acks.Load())
	var wait *redis.Cmd
	if acks > 0 {
		wait = pipe.Do(ctx, "WAIT", acks, ackLimit.Milliseconds())
	}
	_, _ = pipe.Exec(ctx) // says no more than its commands do
	if wait == nil {
		return nil
	}
	n, err := wait.Int()
	switch {
	case err != nil:
		return fmt.Errorf("wait for replicas: %w", err)
	case n < acks:
		return fmt.Errorf("%w: %d of %d", errReplicas, n, acks)
	}
	return nil
}

// Ping asks every primary to take a write, and its replicas to confirm it where
// that is asked for. Ingest stops receiving while it fails: a Redis that is
// full or has lost its replicas answers a PING and would still turn every
// message away.
func (c *Cache) Ping(ctx context.Context) error {
	probes := make([]*write, 0, partitionCount)
	for i := range c.names.partitions {
		probes = append(probes, &write{partition: &c.names.partitions[i]})
	}
	if _, ok := c.writers.(*redis.Client); ok {
		probes = probes[:1]
	}
	c.byPrimary(ctx, probes, func(w *write) string { return w.partition.probe },
		func(ctx context.Context, node *redis.Client, group []*write) {
			var set *redis.StatusCmd
			err := c.confirmed(ctx, node, func(pipe redis.Pipeliner) {
				set = pipe.Set(ctx, group[0].partition.probe, "", probeLife)
			})
			group[0].err = errors.Join(set.Err(), err)
		})
	var all []error
	for _, p := range probes {
		all = append(all, p.err)
	}
	return errors.Join(all...)
}

const probeLife = time.Minute

// Check connects to every primary and refuses one that would lose records. Its
// errors are for the operator: one line that names the cure.
func (c *Cache) Check(ctx context.Context) error {
	if c.options.ReplicaAcks == AutoAcks {
		if err := c.countReplicas(ctx); err != nil { // before the first write
			return err
		}
	}
	err := eachPrimary(ctx, c.writers, func(ctx context.Context, node *redis.Client) error {
		info, err := serverInfo(ctx, node)
		if err != nil {
			return err
		}
		if err := info.checkVersion(c.address.mode); err != nil {
			return err
		}
		return info.checkEviction()
	})
	if err != nil {
		return err
	}
	return c.checkPublish(ctx)
}

// checkPublish refuses a Redis user who may not announce changes: nobody would
// ever hear of one. Such is a user of Redis 7 by default.
func (c *Cache) checkPublish(ctx context.Context) error {
	err := c.writers.Do(ctx, c.publish, c.names.keyChanges, "").Err()
	if redis.HasErrorPrefix(err, "NOPERM") {
		return fmt.Errorf("%w: its user may not publish; allow it the channels (ACL SETUSER name &%s:*)", ErrUnfit, c.names.prefix)
	}
	return err
}

// watchPrimaries keeps the number of replicas that must confirm a write in step
// with how many there are, where that is left to us.
func (c *Cache) watchPrimaries(ctx context.Context) error {
	const every = 2 * time.Second // until then no write is confirmed by a replica that has taken over
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if c.options.ReplicaAcks == AutoAcks {
			_ = c.countReplicas(ctx) // the next one may do better
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// countReplicas asks for one confirmation where every primary has a replica. It
// changes nothing while a primary cannot be asked.
func (c *Cache) countReplicas(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	var mu sync.Mutex
	fewest := -1
	err := eachPrimary(ctx, c.writers, func(ctx context.Context, node *redis.Client) error {
		info, err := serverInfo(ctx, node)
		if err != nil {
			return err
		}
		n, _ := strconv.Atoi(info["connected_slaves"]) // absent: none
		mu.Lock()
		defer mu.Unlock()
		if fewest < 0 || n < fewest {
			fewest = n
		}
		return nil
	})
	if err == nil {
		c.acks.Store(int32(min(max(fewest, 0), 1)))
	}
	return err
}

// info is the answer of INFO. Managed Redis forbids CONFIG, so this is where
// the settings are read.
type info map[string]string

func serverInfo(ctx context.Context, node *redis.Client) (info, error) {
	text, err := node.Info(ctx).Result()
	if err != nil {
		return nil, fmt.Errorf("ask Redis about itself: %w", err)
	}
	fields := info{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields, nil
}

// checkVersion refuses a Redis that lacks what the store uses. Fields that are
// not there say nothing: the Redis of a laptop has none.
func (i info) checkVersion(m mode) error {
	need, why := [2]int{6, 2}, "for SET with PXAT"
	if m == cluster {
		need, why = [2]int{7, 0}, "for sharded publish and subscribe"
	}
	var have [2]int
	if _, err := fmt.Sscanf(i["redis_version"], "%d.%d", &have[0], &have[1]); err != nil {
		return nil
	}
	if have[0] < need[0] || have[0] == need[0] && have[1] < need[1] {
		return fmt.Errorf("%w: version %d.%d is too old, %d.%d or newer is needed %s", ErrUnfit, have[0], have[1], need[0], need[1], why)
	}
	return nil
}

// checkEviction refuses the policies that evict records of running executions
// or forget which execution is whose.
func (i info) checkEviction() error {
	switch policy := i["maxmemory_policy"]; policy {
	case "", "noeviction", "volatile-ttl":
		return nil
	default:
		return fmt.Errorf("%w: its maxmemory-policy %s evicts records; set it to noeviction (CONFIG SET maxmemory-policy noeviction, or the parameter group of a managed Redis) or volatile-ttl", ErrUnfit, policy)
	}
}
