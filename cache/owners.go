package cache

import (
	"context"
	"errors"
	"sync"

	"github.com/redis/go-redis/v9"
)

// indexed reports whether the owner's index has the execution for certain: an
// earlier write made its owner known and either entered it or was not confirmed,
// and then it comes again.
func (w *write) indexed() bool {
	return w.verdict == Applied && w.rankBefore != ownerUnknown && w.kind != kindRegistered
}

// indexOwners enters the executions of one primary's owners into their indexes.
// That comes behind what is superseded too: an earlier attempt may have ended
// between the script and here.
func (c *Cache) indexOwners(ctx context.Context, node *redis.Client, group []*write) {
	adds := make([]*redis.IntCmd, len(group))
	var upkeep []redis.Cmder
	err := c.confirmed(ctx, node, func(pipe redis.Pipeliner) {
		for i, w := range group {
			key := c.names.owner(w.owner)
			adds[i] = pipe.ZAdd(ctx, key, redis.Z{Score: float64(w.start), Member: string(w.arn)})
			if c.upkeep.due(w.owner) {
				upkeep = append(upkeep, pipe.ZRemRangeByRank(ctx, key, 0, -1-ownerIndexSize), pipe.Expire(ctx, key, runningLife))
			}
		}
	})
	for _, cmd := range upkeep {
		err = errors.Join(err, cmd.Err())
	}
	for i, w := range group {
		w.err = errors.Join(err, adds[i].Err())
	}
}

// upkeep says when an owner's index is to be cut to its size and kept for
// longer: at the first entry that this process makes, and at one in so many
// after it. Each costs as much as the entry itself.
type upkeep struct {
	mu      sync.Mutex
	entries map[string]int // since it was done last
}

const (
	upkeepEvery  = 16
	upkeepOwners = 10_000 // remembered
)

func (u *upkeep) due(owner string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	n, known := u.entries[owner]
	if !known && len(u.entries) >= upkeepOwners {
		clear(u.entries)
	}
	u.entries[owner] = (n + 1) % upkeepEvery
	return n == 0
}
