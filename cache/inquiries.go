package cache

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"statuscache/cache/internal/redisdb"
	"time"

	"github.com/redis/go-redis/v9"
)

// Inquiry is a list of executions that Step Functions is to be asked about. It is
// in Redis, so it survives every process, and all processes work on it together:
// who takes an execution from it holds a lease, and nobody else asks meanwhile.
type Inquiry int

// The lists.
const (
	// Awaited are executions of which an event left something out: the output, or
	// the input that may name the owner. apply.lua enters them.
	Awaited Inquiry = iota
	// Doubted are executions of which something may have been missed.
	Doubted
)

func (i Inquiry) key(p *redisdb.Partition) string {
	if i == Awaited {
		return p.Awaiting
	}
	return p.Doubted
}

// Due is an execution that its holder is to ask about now.
type Due struct {
	ARN    ARN
	Record *Record       // nil: nothing is known
	Exact  Version       // as it is stored, empty without a record; it differs from the record's while an output is awaited
	Age    time.Duration // since that version was stored, by the clock of Redis
	Waited time.Duration // since it was due
	Now    time.Time     // when it was claimed, by the clock of Redis
	Listed Version       // on the list of what is doubted, what Step Functions listed; empty: nothing
}

// StopDate returns when the execution stopped, zero where that is not known.
func (d *Due) StopDate() time.Time {
	if d.Record == nil {
		return time.Time{}
	}
	return d.Record.stopDate
}

// claimScript takes a lease. KEYS: list. ARGV: ARN, lease in ms. It answers with
// the time and when it was due, in ms, or with nothing where it is not due or somebody
// else was faster.
var claimScript = redis.NewScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not due or tonumber(due) > now then return {} end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
return {now, math.floor(tonumber(due))}`)

// Claim takes up to so many executions of a list that are due, for the time of the
// lease. Settle takes them off it; who does neither that nor Postpone leaves them
// to the next when the lease ends. Its error may be about some of them only: the
// others are returned with it.
func (c *Cache) Claim(ctx context.Context, list Inquiry, most int, lease time.Duration) ([]Due, error) {
	ctx, cancel := context.WithTimeout(ctx, c.db.BatchLimit())
	defer cancel()
	arns, err := c.firstOf(ctx, list, most)
	if err != nil || len(arns) == 0 {
		return nil, err
	}
	pipe := c.db.Writers.Pipeline()
	claims, records, doubts := make([]*redis.Cmd, len(arns)), make([]*redis.StringCmd, len(arns)), make([]*redis.StringCmd, len(arns))
	for i, arn := range arns {
		claims[i] = claimScript.Eval(ctx, pipe, []string{list.key(c.db.Names.Partition(string(arn)))}, string(arn), lease.Milliseconds())
		records[i] = pipe.Get(ctx, c.db.Names.Execution(string(arn)))
		if list == Doubted {
			doubts[i] = pipe.HGet(ctx, c.db.Names.Doubts(arn.StateMachine()), string(arn))
		}
	}
	_, _ = pipe.Exec(ctx) // says no more than its commands do
	var all []Due
	var errs []error
	for i, arn := range arns {
		times, err := claims[i].Int64Slice()
		if err != nil {
			errs = append(errs, fmt.Errorf("claim %s: %w", arn, err))
		}
		if len(times) != 2 {
			continue
		}
		due, err := dueOf(arn, records[i], time.UnixMilli(times[0]))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		due.Waited = time.Duration(times[0]-times[1]) * time.Millisecond
		if doubts[i] != nil {
			due.Listed = parseDoubt(doubts[i].Val()).Listed
		}
		all = append(all, due)
	}
	return all, errors.Join(errs...)
}

// firstOf returns up to so many executions at the head of a list, due or not.
func (c *Cache) firstOf(ctx context.Context, list Inquiry, most int) ([]ARN, error) {
	pipe := c.db.Writers.Pipeline()
	cmds := make([]*redis.ZSliceCmd, redisdb.PartitionCount)
	for i := range c.db.Names.Partitions {
		cmds[i] = pipe.ZRangeWithScores(ctx, list.key(&c.db.Names.Partitions[i]), 0, int64(most)-1)
	}
	clock := pipe.Time(ctx)
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("look for what is due: %w", err)
	}
	now := float64(clock.Val().UnixMilli())
	var arns []ARN
	for _, i := range rand.Perm(redisdb.PartitionCount) { // or the first partitions would come first
		for _, z := range cmds[i].Val() {
			if arn, ok := z.Member.(string); ok && z.Score <= now && len(arns) < most {
				arns = append(arns, ARN(arn))
			}
		}
	}
	return arns, nil
}

func dueOf(arn ARN, stored *redis.StringCmd, now time.Time) (Due, error) {
	due := Due{ARN: arn, Now: now}
	b, err := stored.Bytes()
	if errors.Is(err, redis.Nil) {
		return due, nil
	} else if err != nil {
		return due, fmt.Errorf("read %s: %w", arn, err)
	}
	p, err := takeApart(b)
	if err != nil {
		return due, fmt.Errorf("read %s: %w", arn, err)
	}
	if due.Record, err = decode(arn, b); err != nil {
		return due, fmt.Errorf("read %s: %w", arn, err)
	}
	due.Exact, due.Age = p.head.version(), now.Sub(p.storedAt())
	return due, nil
}

// storedAt returns when the version of the record was stored. The date in the head
// is no help while an output is awaited: it is that of the run, as readers see it.
func (p *parts) storedAt() time.Time {
	trail, err := readTrail(p.trail)
	for i := len(trail) - 1; i >= 0 && err == nil; i-- {
		if trail[i].Verdict == Applied && trail[i].Version == p.head.version() {
			return trail[i].AppliedAt
		}
	}
	return p.head.observed()
}

// settleScript takes an execution off a list, unless its output is awaited still.
// KEYS: record, list. ARGV: ARN, 1 if the list is of what is awaited, else 0.
var settleScript = redis.NewScript(`
if ARGV[2] == '1' and redis.call('GETRANGE', KEYS[1], 22, 24) == '6-0' then return 0 end
return redis.call('ZREM', KEYS[2], ARGV[1])`)

// Settle takes an execution off a list. While an output is awaited it stays there
// until its lease ends: a success may have been heard of since it was claimed.
func (c *Cache) Settle(ctx context.Context, list Inquiry, arn ARN) error {
	p := c.db.Names.Partition(string(arn))
	keys := []string{c.db.Names.Execution(string(arn)), list.key(p)}
	if err := settleScript.Run(ctx, c.db.Writers, keys, string(arn), map[Inquiry]int{Awaited: 1}[list]).Err(); err != nil {
		return fmt.Errorf("settle %s: %w", arn, err)
	}
	return nil
}

// postponeScript sets when an execution on a list is due. KEYS: list. ARGV: ARN,
// from now in ms.
var postponeScript = redis.NewScript(`
local time = redis.call('TIME')
return redis.call('ZADD', KEYS[1], 'XX', time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2], ARGV[1])`)

// Postpone has an execution on a list be asked about after d.
func (c *Cache) Postpone(ctx context.Context, list Inquiry, arn ARN, d time.Duration) error {
	key := list.key(c.db.Names.Partition(string(arn)))
	if err := postponeScript.Run(ctx, c.db.Writers, []string{key}, string(arn), d.Milliseconds()).Err(); err != nil {
		return fmt.Errorf("postpone %s: %w", arn, err)
	}
	return nil
}

// Doubt puts executions on the list of what is doubted, 100,000 at most.
func (c *Cache) Doubt(ctx context.Context, arns []ARN) error {
	now, err := c.db.Now(ctx)
	if err != nil || len(arns) == 0 {
		return err
	}
	for some := range slices.Chunk(arns[:min(len(arns), maxDoubts)], 1000) {
		pipe := c.db.Writers.Pipeline()
		for _, arn := range some {
			pipe.ZAddNX(ctx, c.db.Names.Partition(string(arn)).Doubted, redis.Z{Score: float64(now.UnixMilli()), Member: string(arn)})
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return fmt.Errorf("doubt executions: %w", err)
		}
	}
	return nil
}

// Pending returns how many executions are on a list.
func (c *Cache) Pending(ctx context.Context, list Inquiry) (n int, err error) {
	pipe := c.db.Readers.Pipeline()
	var cmds [redisdb.PartitionCount]*redis.IntCmd
	for i := range c.db.Names.Partitions {
		cmds[i] = pipe.ZCard(ctx, list.key(&c.db.Names.Partitions[i]))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, fmt.Errorf("count what is to be asked about: %w", err)
	}
	for _, cmd := range cmds {
		n += int(cmd.Val())
	}
	return n, nil
}

// Versions returns the version of each execution as it is stored, empty where
// nothing is known.
func (c *Cache) Versions(ctx context.Context, arns []ARN) ([]Version, error) {
	ctx, cancel := context.WithTimeout(ctx, c.db.BatchLimit())
	defer cancel()
	if len(arns) == 0 {
		return nil, nil
	}
	pipe := c.db.Writers.Pipeline()
	cmds := make([]*redis.StringCmd, len(arns))
	for i, arn := range arns {
		cmds[i] = pipe.GetRange(ctx, c.db.Names.Execution(string(arn)), 1, versionLength)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("read versions: %w", err)
	}
	all := make([]Version, len(arns))
	for i, cmd := range cmds {
		all[i], _ = ParseVersion(cmd.Val())
	}
	return all, nil
}

// Running calls f with the executions that run as far as is known and belong to a
// state machine itself, not to a Distributed Map of it, some at a time and the
// oldest of each partition first. started is when the record says that they did.
func (c *Cache) Running(ctx context.Context, machine string, f func(arns []ARN, started []time.Time) error) error {
	const some = 1000
	for i := range c.db.Names.Partitions {
		key := c.db.Names.Partitions[i].Running
		for offset := int64(0); ; offset += some {
			entries, err := c.db.Writers.ZRangeWithScores(ctx, key, offset, offset+some-1).Result()
			if err != nil {
				return fmt.Errorf("read what runs: %w", err)
			}
			var arns []ARN
			var started []time.Time
			for _, z := range entries {
				if arn, ok := z.Member.(string); ok && ARN(arn).StateMachine() == machine {
					arns, started = append(arns, ARN(arn)), append(started, time.UnixMilli(int64(z.Score)))
				}
			}
			if len(arns) > 0 {
				if err := f(arns, started); err != nil {
					return err
				}
			}
			if len(entries) < some {
				break
			}
		}
	}
	return nil
}
