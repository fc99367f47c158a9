package worklist

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache"
	"statuscache/cache/internal/redisdb"
)

// Bounds of the requests for expired outputs.
const (
	maxRequested    = 200  // of a partition
	maxOfCaller     = 1000 // within callerWindow
	callerWindow    = 10 * time.Minute
	requestedRetry  = 30 * time.Second // delay if a partition has too many
	unattendedAfter = time.Minute      // much longer than a lease, and than the time between two claims
)

// ErrBusy means that too many outputs are requested.
type ErrBusy struct {
	OfCaller bool          // by this caller; otherwise by all callers
	Wait     time.Duration // time after which to try again
}

// Error returns the text of the error.
func (e *ErrBusy) Error() string { return "too many outputs are requested" }

// Request puts an execution on the list of expired outputs to fetch again. It can be
// repeated safely. caller is the requesting caller, because each may request only a
// limited number. The error of a refused request is an *ErrBusy.
func (w *Worklist) Request(ctx context.Context, arn cache.ARN, caller string) error {
	ctx, cancel := context.WithTimeout(ctx, w.db.Limits.Batch)
	defer cancel()
	wait, err := w.request(ctx, w.db.Names.RequestedBy(caller), arn, maxOfCaller, callerWindow)
	switch {
	case err != nil:
		return err
	case wait != 0:
		return &ErrBusy{OfCaller: true, Wait: wait}
	}
	wait, err = w.request(ctx, w.db.Names.Partition(string(arn)).Requested, arn, maxRequested, 0)
	if err == nil && wait != 0 {
		return &ErrBusy{Wait: requestedRetry}
	}
	return err
}

// request puts an execution on a list, or returns the time after which there may be space.
func (w *Worklist) request(ctx context.Context, list string, arn cache.ARN, most int, counts time.Duration) (time.Duration, error) {
	ms, err := requestScript.Run(ctx, w.db.Writers, []string{list}, string(arn), most, counts.Milliseconds()).Int64()
	if err != nil {
		return 0, fmt.Errorf("request the output of %s: %w", arn, err)
	}
	return time.Duration(ms) * time.Millisecond, nil
}

// Unattended returns how many requested outputs have not been fetched although they were due a
// minute ago: no process of role ingest runs, or HYDRATE_RATE is 0. It needs Run.
func (w *Worklist) Unattended() int64 { return w.unattended.Load() }

// countUnattended counts the outputs for Unattended.
func (w *Worklist) countUnattended(ctx context.Context) error {
	now, err := w.db.Now(ctx)
	if err != nil {
		return err
	}
	pipe := w.db.Readers.Pipeline()
	var heads [redisdb.PartitionCount]*redis.ZSliceCmd
	var sizes [redisdb.PartitionCount]*redis.IntCmd
	for i := range w.db.Names.Partitions {
		list := w.db.Names.Partitions[i].Requested
		heads[i], sizes[i] = pipe.ZRangeWithScores(ctx, list, 0, 0), pipe.ZCard(ctx, list)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("count outputs that are requested: %w", err)
	}
	total, due := int64(0), float64(now.Add(-unattendedAfter).UnixMilli())
	for i, head := range heads {
		if first := head.Val(); len(first) > 0 && first[0].Score < due {
			total += sizes[i].Val()
		}
	}
	w.unattended.Store(total)
	return nil
}
