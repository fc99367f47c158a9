package lists

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache"
	"statuscache/cache/internal/redisdb"
	"statuscache/cache/internal/uptime"
)

// Counts is how many executions are where.
type Counts struct{ Running, Succeeded, Failed int }

const (
	countsLife   = 900 * time.Millisecond
	countsLimit  = time.Second
	countsOwners = 10_000 // remembered
)

type countsAt struct {
	Counts
	at int64 // by uptime, when they were begun
}

// Counts returns how many executions of an owner, or with all of everybody, are
// kept: the newest 1,000 of an owner, and of everybody all that run and those that
// have ended among the newest 1,000 of each partition. It is at most a second old.
func (r *Reader) Counts(ctx context.Context, owner string, all bool) (Counts, error) {
	key := "o" + owner
	if all {
		key = "a"
	}
	if k, ok := r.counts.Get(key); ok && uptime.Now()-k.at < int64(countsLife) {
		return k.Counts, nil
	}
	limit := max(countsLimit, r.db.Limits.Read)
	counts, err := r.counting.Begin(ctx, limit, key, func(ctx context.Context) (Counts, error) {
		begun := uptime.Now()
		counts, err := r.count(ctx, owner, all)
		if err == nil {
			r.counts.Set(key, countsAt{counts, begun})
		}
		return counts, err
	}).Wait(ctx)
	if err != nil {
		return Counts{}, fmt.Errorf("count executions: %w", err)
	}
	return counts, nil
}

func (r *Reader) count(ctx context.Context, owner string, all bool) (Counts, error) {
	keys, running := []string{r.db.Names.Owner(owner)}, 0
	if all {
		var err error
		if running, err = r.countRunning(ctx); err != nil {
			return Counts{}, err
		}
		keys = keys[:0]
		for i := range r.db.Names.Partitions {
			keys = append(keys, r.db.Names.Partitions[i].Recent)
		}
	}
	arns, err := r.members(ctx, keys)
	if err != nil {
		return Counts{}, err
	}
	statuses, err := r.cache.Statuses(ctx, arns)
	if err != nil {
		return Counts{}, err
	}
	var n Counts
	for _, s := range statuses {
		switch s {
		case cache.Running:
			n.Running++
		case cache.Succeeded:
			n.Succeeded++
		case cache.Failed:
			n.Failed++
		}
	}
	if all {
		n.Running = running
	}
	return n, nil
}

// members returns what some indexes hold.
func (r *Reader) members(ctx context.Context, keys []string) ([]cache.ARN, error) {
	pipe := r.db.Readers.Pipeline()
	cmds := make([]*redis.StringSliceCmd, len(keys))
	for i, key := range keys {
		cmds[i] = pipe.ZRange(ctx, key, 0, -1)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("read indexes: %w", err)
	}
	var arns []cache.ARN
	for _, cmd := range cmds {
		for _, text := range cmd.Val() {
			arns = append(arns, cache.ARN(text))
		}
	}
	return arns, nil
}

func (r *Reader) countRunning(ctx context.Context) (n int, err error) {
	pipe := r.db.Readers.Pipeline()
	var cmds [redisdb.PartitionCount]*redis.IntCmd
	for i := range r.db.Names.Partitions {
		cmds[i] = pipe.ZCard(ctx, r.db.Names.Partitions[i].Running)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, fmt.Errorf("count what runs: %w", err)
	}
	for _, cmd := range cmds {
		n += int(cmd.Val())
	}
	return n, nil
}
