package cache

import (
	"context"
	"errors"
	"sync"
	"time"
)

// indexed reports whether the owner's index has the execution for certain: an
// earlier write made its owner known and either entered it or was not confirmed,
// and then it comes again.
func (w *write) indexed() bool {
	return w.verdict == Applied && w.rankBefore != ownerUnknown && w.kind != kindRegistered
}

// indexOwners enters executions into the indexes of their owners. That comes behind
// what is superseded too: an earlier attempt may have ended between the script and
// here.
func (c *Cache) indexOwners(ctx context.Context, writes []*write) {
	entries := make([]*command, len(writes))
	var all []*command
	upkeep := map[*write][]*command{}
	for i, w := range writes {
		key := c.names.owner(w.owner)
		entries[i] = newCommand(key, "ZADD", key, w.start, string(w.arn))
		all = append(all, entries[i])
		if c.upkeep.due(w.owner) {
			upkeep[w] = []*command{
				newCommand(key, "ZREMRANGEBYRANK", key, 0, -1-ownerIndexSize),
				newCommand(key, "EXPIRE", key, int(runningLife/time.Second)),
			}
			all = append(all, upkeep[w]...)
		}
	}
	if len(all) == 0 {
		return
	}
	c.primaries.confirm(ctx, all...)
	for i, w := range writes {
		w.err = entries[i].err
		for _, each := range upkeep[w] {
			w.err = errors.Join(w.err, each.err)
		}
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
