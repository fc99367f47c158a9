package cache

import (
	"context"
	"errors"
	"fmt"
	"statuscache/cache/internal/redisdb"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Census is what a look at some executions found: the newest of each partition that are
// a minute old, and those that are only registered. It is a sample, so that it costs the
// same however many there are.
type Census struct {
	Looked    int // executions that were heard of, a minute ago at least
	Ownerless int // of these, those that only operators may read
	Unheard   int // executions that were registered long ago, and of which nothing was heard

	OwnerlessExample, UnheardExample ARN // empty: there is none
}

const (
	censusNewest  = 2              // of each partition
	censusRunning = 32             // likewise
	censusSettled = time.Minute    // owners are known by then: events come out of order, inputs are asked for
	censusLook    = 24 * time.Hour // registrations that are older are removed by the audit
	leastLooked   = 3              // fewer executions prove nothing
)

// MostAreOwnerless reports whether more executions than not can be read by nobody but
// operators.
func (s Census) MostAreOwnerless() bool { return s.Looked >= leastLooked && 2*s.Ownerless > s.Looked }

// TakeCensus looks. A registration counts as unheard after so long.
func TakeCensus(ctx context.Context, c *Cache, unheardAfter time.Duration) (s Census, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.db.BatchLimit())
	defer cancel()
	now, err := c.db.Now(ctx)
	if err != nil {
		return s, err
	}
	pipe := c.db.Readers.Pipeline()
	var newest, running [redisdb.PartitionCount]*redis.StringSliceCmd
	for i := range c.db.Names.Partitions {
		p := &c.db.Names.Partitions[i]
		newest[i] = pipe.ZRevRangeByScore(ctx, p.Recent, &redis.ZRangeBy{Min: "-inf", Max: score(now.Add(-censusSettled)), Count: censusNewest})
		running[i] = pipe.ZRangeByScore(ctx, p.Running, &redis.ZRangeBy{
			Min: score(now.Add(-censusLook)), Max: score(now.Add(-unheardAfter)), Count: censusRunning,
		})
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return s, fmt.Errorf("read indexes: %w", err)
	}
	err = c.eachHead(ctx, newest[:], func(arn ARN, h recordHead) {
		if h.version() == Unobserved || h.seen().After(now.Add(-censusSettled)) {
			return
		}
		if s.Looked++; h.ownerless() {
			s.Ownerless, s.OwnerlessExample = s.Ownerless+1, arn
		}
	})
	if err != nil {
		return s, err
	}
	return s, c.eachHead(ctx, running[:], func(arn ARN, h recordHead) {
		if h.version() == Unobserved && !h.seen().After(now.Add(-unheardAfter)) {
			s.Unheard, s.UnheardExample = s.Unheard+1, arn
		}
	})
}

func score(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

// eachHead calls f with the heads of the records that are there. It reads no more of them
// than it needs.
func (c *Cache) eachHead(ctx context.Context, lists []*redis.StringSliceCmd, f func(ARN, recordHead)) error {
	pipe := c.db.Readers.Pipeline()
	var arns []ARN
	var heads []*redis.StringCmd
	for _, list := range lists {
		for _, arn := range list.Val() {
			arns = append(arns, ARN(arn))
			heads = append(heads, pipe.GetRange(ctx, c.db.Names.Execution(arn), 0, payloadLengthAt-1))
		}
	}
	if len(arns) == 0 {
		return nil
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("read records: %w", err)
	}
	for i, head := range heads {
		if text := head.Val(); len(text) >= payloadLengthAt { // else it has expired
			f(arns[i], recordHead(text))
		}
	}
	return nil
}
