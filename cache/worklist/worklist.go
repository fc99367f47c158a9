package worklist

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"statuscache/cache"
	"statuscache/cache/internal/monotonic"
	"statuscache/cache/internal/redisdb"
)

// List is one of the lists of executions to check with Step Functions.
type List int

// The lists.
const (
	// Awaited are executions whose event left something out: the output, or the input
	// that may name the owner. apply.lua enters them.
	Awaited List = iota
	// Mismatched are executions that may lack an event.
	Mismatched
	// Requested are successes whose expired output must be fetched again.
	Requested
)

// names are the names of the lists in metrics.
var names = map[List]string{Awaited: "awaited", Mismatched: "doubted", Requested: "requested"}

// String returns the name of a list, as metrics and the log have it.
func (l List) String() string { return names[l] }

func (l List) key(p *redisdb.Partition) string {
	switch l {
	case Awaited:
		return p.Awaiting
	case Requested:
		return p.Requested
	default:
		return p.Mismatched
	}
}

// Entry is a claimed execution of a list, which must be described now.
type Entry struct {
	ARN      cache.ARN
	Record   *cache.Record // nil: nothing is known
	Exact    cache.Version // as it is stored, empty without a record; it differs from the record's while an output is awaited
	StopDate time.Time     // zero: it runs, or nothing is known
	Age      time.Duration // since that version was stored, by the clock of Redis
	Waited   time.Duration // since it was due
	Now      time.Time     // when it was claimed, by the clock of Redis
	Listed   cache.Version // status that Step Functions listed, for a mismatch; empty: none
}

// Worklist is the lists of executions to check with Step Functions. They are in Redis, so they
// survive every process, and all processes work on them together. A process that claims an
// entry has a lease. During that time, no other process describes the execution.
type Worklist struct {
	db         *redisdb.DB
	entries    *prometheus.GaugeVec
	unattended atomic.Int64
}

// New returns the worklist of a Redis. metrics may be nil.
func New(db *redisdb.DB, metrics prometheus.Registerer) *Worklist {
	return &Worklist{db: db, entries: gauge(metrics, "inquiries", "Executions to check with Step Functions.", "list")}
}

// countEvery is how often Run counts the entries, which needs a request to every partition.
const countEvery = 10 * time.Second

// Run keeps the metric of the entries, and Unattended, current until ctx ends.
func (w *Worklist) Run(ctx context.Context) error {
	return monotonic.Every(ctx, countEvery, func() {
		for list, name := range names {
			n, err := w.Pending(ctx, list)
			if err != nil {
				continue
			}
			w.entries.WithLabelValues(name).Set(float64(n))
			if list == Requested && (n > 0 || w.unattended.Load() > 0) {
				_ = w.countUnattended(ctx) // it is counted again soon
			}
		}
	})
}

// Claim claims at most the given number of due executions of a list, for the time of the
// lease. Settle removes them from the list. Without Settle or Postpone, another process
// can claim them when the lease ends. The error may be about some executions only: the
// others are returned with it.
func (w *Worklist) Claim(ctx context.Context, list List, most int, lease time.Duration) ([]Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, w.db.Limits.Batch)
	defer cancel()
	arns, err := w.firstOf(ctx, list, most)
	if err != nil || len(arns) == 0 {
		return nil, err
	}
	pipe := w.db.Writers.Pipeline()
	claims, records, mismatches := make([]*redis.Cmd, len(arns)), make([]*redis.StringCmd, len(arns)), make([]*redis.StringCmd, len(arns))
	for i, arn := range arns {
		claims[i] = claimScript.Eval(ctx, pipe, []string{list.key(w.db.Names.Partition(string(arn)))}, string(arn), lease.Milliseconds())
		records[i] = pipe.Get(ctx, w.db.Names.Execution(string(arn)))
		if list == Mismatched {
			mismatches[i] = pipe.HGet(ctx, w.db.Names.Mismatches(arn.StateMachine()), string(arn))
		}
	}
	_, _ = pipe.Exec(ctx) // says no more than its commands do
	var all []Entry
	var errs []error
	for i, arn := range arns {
		times, err := claims[i].Int64Slice()
		if err != nil {
			errs = append(errs, fmt.Errorf("claim %s: %w", arn, err))
		}
		if len(times) != 2 {
			continue
		}
		entry, err := newEntry(arn, records[i], time.UnixMilli(times[0]))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		entry.Waited = time.Duration(times[0]-times[1]) * time.Millisecond
		if mismatches[i] != nil {
			entry.Listed = parseMismatch(mismatches[i].Val()).Listed
		}
		all = append(all, entry)
	}
	return all, errors.Join(errs...)
}

// firstOf returns at most the given number of executions at the head of a list, due or not.
func (w *Worklist) firstOf(ctx context.Context, list List, most int) ([]cache.ARN, error) {
	pipe := w.db.Writers.Pipeline()
	cmds := make([]*redis.ZSliceCmd, redisdb.PartitionCount)
	for i := range w.db.Names.Partitions {
		cmds[i] = pipe.ZRangeWithScores(ctx, list.key(&w.db.Names.Partitions[i]), 0, int64(most)-1)
	}
	clock := pipe.Time(ctx)
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("look for due executions: %w", err)
	}
	now := float64(clock.Val().UnixMilli())
	var arns []cache.ARN
	for _, i := range rand.Perm(redisdb.PartitionCount) { // otherwise the first partitions would always come first
		for _, z := range cmds[i].Val() {
			if arn, ok := z.Member.(string); ok && z.Score <= now && len(arns) < most {
				arns = append(arns, cache.ARN(arn))
			}
		}
	}
	return arns, nil
}

func newEntry(arn cache.ARN, record *redis.StringCmd, now time.Time) (Entry, error) {
	entry := Entry{ARN: arn, Now: now}
	b, err := record.Bytes()
	if errors.Is(err, redis.Nil) {
		return entry, nil
	} else if err != nil {
		return entry, fmt.Errorf("read %s: %w", arn, err)
	}
	stored, err := cache.ReadStored(arn, b)
	if err != nil {
		return entry, fmt.Errorf("read %s: %w", arn, err)
	}
	entry.Record, entry.Exact, entry.StopDate = stored.Record, stored.Exact, stored.StopDate
	entry.Age = now.Sub(stored.StoredAt)
	return entry, nil
}

// Settle removes an execution from a list. While an output is awaited, the execution
// stays on the list until its lease ends, because a success may have arrived since it was
// claimed.
func (w *Worklist) Settle(ctx context.Context, list List, arn cache.ARN) error {
	p := w.db.Names.Partition(string(arn))
	keys := []string{w.db.Names.Execution(string(arn)), list.key(p)}
	if err := settleScript.Run(ctx, w.db.Writers, keys, string(arn), map[List]int{Awaited: 1}[list]).Err(); err != nil {
		return fmt.Errorf("settle %s: %w", arn, err)
	}
	return nil
}

// Postpone makes an execution on a list due after d.
func (w *Worklist) Postpone(ctx context.Context, list List, arn cache.ARN, d time.Duration) error {
	key := list.key(w.db.Names.Partition(string(arn)))
	if err := postponeScript.Run(ctx, w.db.Writers, []string{key}, string(arn), d.Milliseconds()).Err(); err != nil {
		return fmt.Errorf("postpone %s: %w", arn, err)
	}
	return nil
}

// AddMismatches puts executions on the list of mismatches, which has at most 100,000.
func (w *Worklist) AddMismatches(ctx context.Context, arns []cache.ARN) error {
	now, err := w.db.Now(ctx)
	if err != nil || len(arns) == 0 {
		return err
	}
	for some := range slices.Chunk(arns[:min(len(arns), maxMismatches)], 1000) {
		pipe := w.db.Writers.Pipeline()
		for _, arn := range some {
			pipe.ZAddNX(ctx, w.db.Names.Partition(string(arn)).Mismatched, redis.Z{Score: float64(now.UnixMilli()), Member: string(arn)})
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return fmt.Errorf("add mismatches: %w", err)
		}
	}
	return nil
}

// Pending returns how many executions are on a list.
func (w *Worklist) Pending(ctx context.Context, list List) (n int, err error) {
	pipe := w.db.Readers.Pipeline()
	var cmds [redisdb.PartitionCount]*redis.IntCmd
	for i := range w.db.Names.Partitions {
		cmds[i] = pipe.ZCard(ctx, list.key(&w.db.Names.Partitions[i]))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, fmt.Errorf("count the executions to check: %w", err)
	}
	for _, cmd := range cmds {
		n += int(cmd.Val())
	}
	return n, nil
}
