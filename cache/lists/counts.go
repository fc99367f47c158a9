package lists

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache"
	"statuscache/cache/internal/monotonic"
	"statuscache/cache/internal/redisdb"
)

// Counts has the numbers of executions by status.
type Counts struct{ Running, Succeeded, Failed int }

const (
	// countsLife is how long counts are used, and countsFresh how long they are used
	// without counting again.
	countsLife   = 900 * time.Millisecond
	countsFresh  = 500 * time.Millisecond
	countsLimit  = time.Second      // for one caller
	countingFor  = 10 * time.Second // at most; what is read until then is not read again
	countsOwners = 10_000           // remembered
	ownersRead   = 64               // whose executions are remembered, up to 1,000 of each

	// countEvery is how often Run counts, and countUntil for how long after the last request.
	countEvery = 10 * time.Second
	countUntil = 15 * time.Minute
	feedWait   = 50 * time.Millisecond // between two checks whether the process receives changes
)

type countsAt struct {
	Counts
	at int64 // by the monotonic clock, when they were begun
}

// Counts returns the numbers of executions of an owner or, with all, of all owners. For
// an owner it counts the newest 1,000; for all owners it counts all running executions,
// and the ended ones among the newest 1,000 of each partition. The result is at most one
// second old.
func (r *Reader) Counts(ctx context.Context, owner string, all bool) (Counts, error) {
	return r.BeginCounts(ctx, owner, all)(ctx)
}

// BeginCounts begins to count, and returns a function that waits for the result of Counts.
func (r *Reader) BeginCounts(ctx context.Context, owner string, all bool) (wait func(context.Context) (Counts, error)) {
	key := "o" + owner
	if all {
		key = "a"
		r.requested.Store(monotonic.Now())
	}
	known, ok := r.counts.Get(key)
	age := time.Duration(monotonic.Now() - known.at)
	remembered := func(context.Context) (Counts, error) { return known.Counts, nil }
	if ok && age < countsFresh {
		return remembered
	}
	limit := max(countsLimit, r.db.Limits.Read)
	counting := r.counting.Begin(ctx, max(countingFor, r.db.Limits.Read), key, func(ctx context.Context) (Counts, error) {
		begun := monotonic.Now()
		counts, err := r.count(ctx, owner, all)
		if err == nil {
			r.counts.Set(key, countsAt{counts, begun})
		}
		return counts, err
	})
	if ok && age < countsLife {
		return remembered // the next caller gets the newer counts
	}
	return func(ctx context.Context) (Counts, error) {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		counts, err := counting.Wait(ctx)
		if err != nil {
			return Counts{}, fmt.Errorf("count executions: %w", err)
		}
		return counts, nil
	}
}

// Run counts the executions of all owners, so that no request must read the statuses of all
// executions. It begins as soon as the process receives changes. It repeats this every ten
// seconds until 15 minutes after the last request for such counts. It returns when ctx ends.
func (r *Reader) Run(ctx context.Context) error {
	for begun := int64(0); ; {
		wait := time.Second
		now := monotonic.Now()
		due := begun == 0 || now-begun >= int64(countEvery) && now-r.requested.Load() < int64(countUntil)
		switch {
		case !r.db.Feed.Heard():
			wait = feedWait
		case due:
			if _, err := r.count(ctx, "", true); err == nil { // otherwise it is tried again in a second
				begun = now
			}
			r.begun.Store(true)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

func (r *Reader) count(ctx context.Context, owner string, all bool) (n Counts, err error) {
	if !all {
		return r.countOwned(ctx, owner)
	}
	running, err := r.countRunning(ctx)
	if err != nil {
		return Counts{}, err
	}
	n, err = r.recents.count(ctx, r.cache)
	n.Running = running
	return n, err
}

// countOwned counts the executions of an owner. It remembers what it has read for the latest
// owners, so that only changes are read for an owner who asks often.
func (r *Reader) countOwned(ctx context.Context, owner string) (Counts, error) {
	known, ok := r.owned.Get(owner)
	if !ok {
		known = newRecents(r.db, completeEvery, r.db.Names.Owner(owner))
		r.owned.Set(owner, known)
	}
	return known.count(ctx, r.cache)
}

// add counts an execution.
func (n *Counts) add(status cache.Status) {
	switch status {
	case cache.Running:
		n.Running++
	case cache.Succeeded:
		n.Succeeded++
	case cache.Failed:
		n.Failed++
	}
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
