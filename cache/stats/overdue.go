package stats

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache"
	"statuscache/cache/internal/indexes"
	"statuscache/cache/internal/monotonic"
	"statuscache/cache/internal/redisdb"
)

const (
	// enoughRuns is how many successful runs are needed for usual durations.
	enoughRuns = 100
	// lateQuantile is the share of runs that took less than one that is overdue.
	lateQuantile = 0.99
	// overdueFor is how long the result of a search for overdue executions is used.
	overdueFor = 2 * time.Second
	// maxLate is how many of the oldest running executions are checked in each partition.
	maxLate = 256
)

// Deadline returns the time within which 99 of 100 executions of a state machine have
// succeeded. An execution that runs longer is overdue. ok is false if fewer than 100 runs
// are known.
func (d Distribution) Deadline() (age time.Duration, ok bool) {
	if d.Count() < enoughRuns {
		return 0, false
	}
	return d.Quantile(lateQuantile), true
}

// Overdue has the number of executions that run for longer than 99 of 100 that succeeded,
// by the ARN of the state machine.
type Overdue struct {
	ByMachine map[string]int64
	AtLeast   bool // there may be more: only the oldest are checked
}

// Overdue returns how many executions are overdue. It is at most 3 seconds old.
func (s *Stats) Overdue(ctx context.Context, scope Scope) (Overdue, error) {
	if !scope.All {
		return s.overdueOf(ctx, scope.Owner)
	}
	if known := s.overdue.Load(); known != nil && monotonic.Now()-known.at < int64(overdueFor) {
		return known.Overdue, nil
	}
	call := s.seeking.Begin(ctx, readLimit, "", func(ctx context.Context) (Overdue, error) {
		begun := monotonic.Now()
		o, err := s.findOverdue(ctx)
		if err == nil {
			s.overdue.Store(&overdueAt{o, begun})
		}
		return o, err
	})
	if known := s.overdue.Load(); known != nil && monotonic.Now()-known.at < int64(staleFor) {
		return known.Overdue, nil // the next caller gets the newer result
	}
	o, err := call.Wait(ctx)
	if err != nil {
		return Overdue{}, fmt.Errorf("overdue executions: %w", err)
	}
	return o, nil
}

// overdueAt is the time of the last search, by the monotonic clock.
type overdueAt struct {
	Overdue
	at int64
}

func (s *Stats) overdueOf(ctx context.Context, owner string) (Overdue, error) {
	own, err := s.owners.of(ctx, owner)
	if err != nil {
		return Overdue{}, fmt.Errorf("overdue executions: %w", err)
	}
	o := Overdue{ByMachine: map[string]int64{}}
	for _, each := range own.running {
		s.countOverdue(o.ByMachine, each.arn, own.now.Sub(each.start))
	}
	return o, nil
}

// running is a running execution.
type running struct {
	arn   cache.ARN
	start time.Time
}

// countOverdue counts an execution of the given age if it is overdue.
func (s *Stats) countOverdue(by map[string]int64, arn cache.ARN, age time.Duration) {
	machine := arn.StateMachine()
	if d, known := s.Typical(machine); known {
		if deadline, ok := d.Deadline(); ok && age > deadline {
			by[machine]++
		}
	}
}

// findOverdue checks the executions that have been running for the longest time in each partition.
func (s *Stats) findOverdue(ctx context.Context) (Overdue, error) {
	o := Overdue{ByMachine: map[string]int64{}}
	if err := s.fresh(ctx); err != nil {
		return o, fmt.Errorf("overdue executions: %w", err)
	}
	s.mu.RLock()
	now := s.counters.now
	s.mu.RUnlock()
	shortest, ok := s.shortestDeadline()
	if !ok {
		return o, nil
	}
	candidates, cut, err := s.oldest(ctx, now.Add(-shortest))
	if err != nil {
		return o, fmt.Errorf("overdue executions: %w", err)
	}
	o.AtLeast = cut
	candidates, err = s.stillRunning(ctx, candidates)
	if err != nil {
		return o, fmt.Errorf("overdue executions: %w", err)
	}
	for _, c := range candidates {
		s.countOverdue(o.ByMachine, c.arn, now.Sub(c.start))
	}
	return o, nil
}

// shortestDeadline returns the smallest age at which an execution of any state machine is overdue.
func (s *Stats) shortestDeadline() (shortest time.Duration, ok bool) {
	for _, d := range *s.typical.Load() {
		if deadline, enough := d.Deadline(); enough && (!ok || deadline < shortest) {
			shortest, ok = deadline, true
		}
	}
	return shortest, ok
}

// oldest returns executions that have been running since before a time, the oldest of
// each partition; cut reports that there are more.
func (s *Stats) oldest(ctx context.Context, before time.Time) (all []running, cut bool, err error) {
	pipe := s.db.Readers.Pipeline()
	var cmds [redisdb.PartitionCount]*redis.ZSliceCmd
	for i := range cmds {
		cmds[i] = pipe.ZRangeByScoreWithScores(ctx, s.db.Names.Partitions[i].Running, &redis.ZRangeBy{
			Min: "-inf", Max: "(" + strconv.FormatInt(before.UnixMilli(), 10), Count: maxLate,
		})
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, false, err
	}
	for _, cmd := range cmds {
		cut = cut || len(cmd.Val()) == maxLate
		entries, err := indexes.Entries(ctx, s.db, cmd.Val())
		if err != nil {
			return nil, false, err
		}
		for _, e := range entries {
			all = append(all, running{e.ARN, time.UnixMilli(e.Start)})
		}
	}
	return all, cut, nil
}

// stillRunning returns the executions that are running according to their records. The
// others are removed from the index, because their records have expired.
func (s *Stats) stillRunning(ctx context.Context, all []running) ([]running, error) {
	arns := make([]cache.ARN, len(all))
	for i, r := range all {
		arns[i] = r.arn
	}
	rows, _, err := s.cache.Rows(ctx, arns, false)
	if err != nil {
		return nil, err
	}
	var still []running
	var gone []cache.ARN
	for i := range rows {
		switch rows[i].Status {
		case cache.Running:
			still = append(still, all[i])
		case "":
			gone = append(gone, arns[i])
		}
	}
	s.cache.DropOrphans(ctx, gone)
	return still, nil
}
