package cache

import (
	"context"
	"errors"
	"strings"
	"time"

	"statuscache/cache/internal/redisdb"
)

// suspiciousAge is the age from which a RUNNING without a record is suspicious; see
// apply.lua.
const suspiciousAge = 15 * time.Minute

// maxSettles is how often the indexes are updated for a record that changes at the same
// time.
const maxSettles = 5

var errRestless = errors.New("the record changes continuously while its slot moves")

// joinMoving joins writes whose slot moves to another primary. Some keys have already
// moved and some have not, so no script can use all of them. But each key is in one
// place, and a script that uses only the record follows it. Then the indexes are updated
// from the record, key by key, until the record has not changed in the meantime, and the
// change is announced.
func (c *Cache) joinMoving(ctx context.Context, writes []*write) {
	if len(writes) == 0 {
		return
	}
	commands := make([]*redisdb.Command, len(writes))
	for i, w := range writes {
		record := w.partition.Executions + string(w.arn)
		commands[i] = redisdb.NewScript(applyScript, []string{record}, append(w.args[:], c.commonArguments()...)...)
	}
	c.db.Confirm(ctx, commands...)
	var joined []*write
	for i, w := range writes {
		if readAnswers([]*write{w}, commands[i]); w.err == nil {
			joined = append(joined, w)
		}
	}
	c.settleIndexes(ctx, joined)
	c.announce(ctx, joined)
}

// settleIndexes updates the indexes of the partitions from the records of executions.
func (c *Cache) settleIndexes(ctx context.Context, writes []*write) {
	heads := c.recordHeads(ctx, writes)
	for range maxSettles {
		if writes = confirmedOf(writes); len(writes) == 0 {
			return
		}
		var all []*redisdb.Command
		entries := map[*write][]*redisdb.Command{}
		for _, w := range writes {
			entries[w] = w.entries(heads[w])
			all = append(all, entries[w]...)
		}
		c.db.Confirm(ctx, all...)
		for _, w := range writes {
			for _, entry := range entries[w] {
				w.err = errors.Join(w.err, entry.Err)
			}
		}
		now := c.recordHeads(ctx, confirmedOf(writes))
		var changed []*write
		for w, head := range now {
			if head != heads[w] {
				changed = append(changed, w)
			}
		}
		writes, heads = changed, now
	}
	for _, w := range writes {
		w.err = errors.Join(w.err, errRestless)
	}
}

func confirmedOf(writes []*write) (some []*write) {
	for _, w := range writes {
		if w.err == nil {
			some = append(some, w)
		}
	}
	return some
}

// recordHeads reads the heads of existing records.
func (c *Cache) recordHeads(ctx context.Context, writes []*write) map[*write]recordHead {
	commands := make([]*redisdb.Command, len(writes))
	for i, w := range writes {
		record := w.partition.Executions + string(w.arn)
		commands[i] = redisdb.NewCommand(record, "GETRANGE", record, 0, headEnough-1)
	}
	c.db.Confirm(ctx, commands...)
	heads := make(map[*write]recordHead, len(writes))
	for i, w := range writes {
		if w.err = commands[i].Err; w.err == nil {
			var head string
			head, w.err = commands[i].Answer.Text()
			heads[w] = recordHead(head)
		}
	}
	return heads
}

// entries returns the commands that enter an execution into the indexes of its partition,
// according to the head of its record. If the head is empty, they remove the execution.
func (w *write) entries(head recordHead) []*redisdb.Command {
	p, arn := w.partition, string(w.arn)
	member, other := arn, w.member
	if head.Compact() {
		member, other = other, arn
	}
	out := func(key string) *redisdb.Command { return redisdb.NewCommand(key, "ZREM", key, arn, w.member) }
	if !head.Enough() {
		return []*redisdb.Command{out(p.Running), out(p.Recent), out(p.Awaiting), out(p.Mismatched)}
	}
	version, observed, start := head.Version(), head.Observed().UnixMilli(), head.Epoch()
	if version != Unobserved {
		start = string(version[:startLength])
	}
	all := []*redisdb.Command{redisdb.NewCommand(p.Recent, "ZADD", p.Recent, start, member)}
	if other != member {
		all = append(all, redisdb.NewCommand(p.Recent, "ZREM", p.Recent, other), redisdb.NewCommand(p.Running, "ZREM", p.Running, other))
	}
	if version[rankAt] < '3' || version.AwaitsOutput() {
		all = append(all, redisdb.NewCommand(p.Running, "ZADD", p.Running, start, member))
	} else {
		all = append(all, out(p.Running))
	}
	if version.AwaitsOutput() || w.ownerLeftOut && head.OwnerRank() == ownerUnknown || w.labelsLeftOut && !head.Labeled() {
		all = append(all, redisdb.NewCommand(p.Awaiting, "ZADD", p.Awaiting, "NX", observed, arn))
	}
	if w.kind == kindRunning && w.verdict == Applied && head.Observed().Sub(redisdb.Time(head.Epoch())) > suspiciousAge {
		all = append(all, redisdb.NewCommand(p.Mismatched, "ZADD", p.Mismatched, "NX", observed, arn))
	}
	if w.outputFrom > 0 && version.Succeeded() { // if that differs from the record, readers of the index correct it
		all = append(all, redisdb.NewCommand(p.Outputs, "ZADD", p.Outputs, w.outputFrom, arn))
	}
	return all
}

// announce publishes changes, one message per channel.
func (c *Cache) announce(ctx context.Context, writes []*write) {
	changes := map[*redisdb.Partition][]string{}
	for _, w := range confirmedOf(writes) {
		changes[w.partition] = append(changes[w.partition], string(w.arn))
	}
	var all []*redisdb.Command
	of := map[*redisdb.Partition]*redisdb.Command{}
	for p, arns := range changes {
		of[p] = redisdb.NewCommand(p.Changed, c.db.Publish, p.Changed, strings.Join(arns, "\n"))
		all = append(all, of[p])
	}
	if len(all) == 0 {
		return
	}
	c.db.Confirm(ctx, all...)
	for _, w := range confirmedOf(writes) {
		w.err = of[w.partition].Err
	}
}
