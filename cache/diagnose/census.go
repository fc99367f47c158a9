package diagnose

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache"
	"statuscache/cache/internal/indexes"
	"statuscache/cache/internal/redisdb"
)

// Census is the result of a check of a sample of executions. These are the newest of each
// partition that are at least a minute old, and registered ones without an event. Because it
// is a sample, its cost does not depend on the number of executions.
type Census struct {
	Looked    int // executions that became known at least a minute ago
	Ownerless int // of these, those that only operators may read
	Silent    int // executions that were registered long ago and have no event

	OwnerlessExample, SilentExample cache.ARN // empty: there is none
}

const (
	censusNewest  = 2              // of each partition
	censusRunning = 32             // likewise
	censusSettled = time.Minute    // by then owners are known, although events come out of order and inputs are fetched
	censusLook    = 24 * time.Hour // the audit removes older registrations
	leastLooked   = 3              // with fewer executions there is no result
)

// MostAreOwnerless reports whether only operators can read most executions.
func (s Census) MostAreOwnerless() bool { return s.Looked >= leastLooked && 2*s.Ownerless > s.Looked }

// TakeCensus samples the newest executions. A registration older than silentAfter that has no
// event counts as Silent.
func TakeCensus(ctx context.Context, c *cache.Cache, silentAfter time.Duration) (s Census, err error) {
	db := c.DB()
	ctx, cancel := context.WithTimeout(ctx, db.Limits.Batch)
	defer cancel()
	now, err := db.Now(ctx)
	if err != nil {
		return s, err
	}
	pipe := db.Readers.Pipeline()
	var newest, running [redisdb.PartitionCount]*redis.StringSliceCmd
	for i := range db.Names.Partitions {
		p := &db.Names.Partitions[i]
		newest[i] = pipe.ZRevRangeByScore(ctx, p.Recent, &redis.ZRangeBy{Min: "-inf", Max: score(now.Add(-censusSettled)), Count: censusNewest})
		running[i] = pipe.ZRangeByScore(ctx, p.Running, &redis.ZRangeBy{
			Min: score(now.Add(-censusLook)), Max: score(now.Add(-silentAfter)), Count: censusRunning,
		})
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return s, fmt.Errorf("read indexes: %w", err)
	}
	err = eachHead(ctx, db, newest[:], func(arn cache.ARN, h cache.Head) {
		if h.Version == cache.Unobserved || h.Seen.After(now.Add(-censusSettled)) {
			return
		}
		if s.Looked++; h.Ownerless {
			s.Ownerless, s.OwnerlessExample = s.Ownerless+1, arn
		}
	})
	if err != nil {
		return s, err
	}
	return s, eachHead(ctx, db, running[:], func(arn cache.ARN, h cache.Head) {
		if h.Version == cache.Unobserved && !h.Seen.After(now.Add(-silentAfter)) {
			s.Silent, s.SilentExample = s.Silent+1, arn
		}
	})
}

func score(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

// eachHead calls f with the heads of existing records. It reads only as many as it needs.
func eachHead(ctx context.Context, db *redisdb.DB, lists []*redis.StringSliceCmd, f func(cache.ARN, cache.Head)) error {
	pipe := db.Readers.Pipeline()
	var arns []cache.ARN
	var heads []*redis.StringCmd
	for _, list := range lists {
		known, err := indexes.Members(ctx, db, list.Val())
		if err != nil {
			return err
		}
		for _, arn := range known {
			arns = append(arns, arn)
			heads = append(heads, pipe.GetRange(ctx, db.Names.Execution(string(arn)), 0, cache.HeadLength-1))
		}
	}
	if len(arns) == 0 {
		return nil
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("read records: %w", err)
	}
	for i, text := range heads {
		if head, ok := cache.ReadHead(text.Val()); ok { // otherwise it has expired
			f(arns[i], head)
		}
	}
	return nil
}
