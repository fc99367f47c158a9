package cache

import (
	"context"
	"errors"
	"time"

	"statuscache/cache/internal/redisdb"
)

// indexed reports whether the owner's index certainly has the execution. An earlier write has
// set its owner, and has entered it. If that write was not confirmed, it is repeated.
func (w *write) indexed() bool {
	return w.verdict == Applied && w.rankBefore != ownerUnknown && w.kind != kindRegistered && (w.form == formARN || w.form == formShort)
}

// members returns the member of the execution in indexes now, and the one that they may have
// had before.
func (w *write) members() (now, before string) {
	switch w.form {
	case formShort:
		return w.member, ""
	case formShortBefore:
		return w.member, string(w.arn)
	case formARNBefore:
		return string(w.arn), w.member
	}
	return string(w.arn), ""
}

// indexOwners enters executions into the indexes of their owners. This is done for
// superseded writes too, because an earlier attempt may have failed between the script
// and this step.
func (c *Cache) indexOwners(ctx context.Context, writes []*write) {
	entries := make([]*redisdb.Command, len(writes))
	var all []*redisdb.Command
	upkeep := map[*write][]*redisdb.Command{}
	for i, w := range writes {
		key := c.db.Names.Owner(w.owner)
		now, before := w.members()
		entries[i] = redisdb.NewCommand(key, "ZADD", key, w.start, now)
		all = append(all, entries[i])
		if before != "" && before != now {
			upkeep[w] = append(upkeep[w], redisdb.NewCommand(key, "ZREM", key, before))
			all = append(all, upkeep[w]...)
		}
		if c.upkeep.Due(w.owner) {
			due := []*redisdb.Command{
				redisdb.NewCommand(key, "ZREMRANGEBYRANK", key, 0, -1-ownerIndexSize),
				redisdb.NewCommand(key, "EXPIRE", key, int(runningLife/time.Second)),
			}
			upkeep[w], all = append(upkeep[w], due...), append(all, due...)
		}
	}
	if len(all) == 0 {
		return
	}
	c.db.Confirm(ctx, all...)
	for i, w := range writes {
		w.err = entries[i].Err
		for _, each := range upkeep[w] {
			w.err = errors.Join(w.err, each.Err)
		}
	}
}

// recentIndexSize is how many of the newest executions the recent index of a partition holds.
const recentIndexSize = 1000

// ownerIndexSize is how many executions the index of an owner holds, the newest.
const ownerIndexSize = 1000
