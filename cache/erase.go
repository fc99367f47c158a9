package cache

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/internal/redisdb"
	"statuscache/cache/internal/tally"
)

// eraseBatch is how many records are read in one round trip.
const eraseBatch = 500

// Erase removes every execution of an owner: records, trails, indexes and the examples of
// failures. Statistics keep counting these executions, and do not count them again. Erase
// reads every record, because the index of an owner has only the newest ones. From time
// to time it calls found with the number of records that it has read and erased. Later
// reports of Step Functions about these executions are stored again.
func (c *Cache) Erase(ctx context.Context, owner string, found func(looked, erased int64)) error {
	var mu sync.Mutex
	var looked int64
	erased := map[ARN]struct{}{}
	err := c.db.EachPrimary(ctx, func(ctx context.Context, node redisdb.Client) error {
		match := c.db.Names.Prefix + ":{*}:execution:*"
		for cursor := uint64(0); ; {
			keys, next, err := node.Scan(ctx, cursor, match, eraseBatch).Result()
			if err != nil {
				return fmt.Errorf("look for records: %w", err)
			}
			arns, err := c.eraseAmong(ctx, node, keys, owner)
			mu.Lock()
			for _, arn := range arns {
				erased[arn] = struct{}{}
			}
			looked += int64(len(keys))
			found(looked, int64(len(erased)))
			mu.Unlock()
			if cursor = next; err != nil || cursor == 0 {
				return err
			}
		}
	})
	if err == nil {
		err = c.eraseTraces(ctx, erased)
	}
	if err == nil {
		err = c.db.Writers.Del(ctx, c.db.Names.Owner(owner)).Err()
	}
	if err != nil {
		return fmt.Errorf("erase: %w", err)
	}
	return nil
}

// eraseTraces removes the data of executions that is stored outside their records.
func (c *Cache) eraseTraces(ctx context.Context, erased map[ARN]struct{}) error {
	for i := range c.db.Names.Partitions {
		key := c.db.Names.Partitions[i].Late
		late, err := c.db.Writers.LRange(ctx, key, 0, -1).Result()
		if err != nil {
			return err
		}
		for _, each := range late {
			if _, gone := erased[ARN(each[min(len(each), trailEntryLength):])]; !gone {
				continue
			}
			if err := c.db.Writers.LRem(ctx, key, 0, each).Err(); err != nil {
				return err
			}
		}
	}
	if err := tally.RemoveExamples(ctx, c.db, slices.Collect(maps.Keys(erased))); err != nil {
		return err
	}
	for arn := range erased {
		if err := c.db.Writers.HDel(ctx, c.db.Names.Mismatches(arn.StateMachine()), string(arn)).Err(); err != nil {
			return err
		}
	}
	return nil
}

// eraseAmong erases the records that belong to an owner.
func (c *Cache) eraseAmong(ctx context.Context, node redisdb.Client, keys []string, owner string) (erased []ARN, err error) {
	pipe := node.Pipeline()
	heads := make([]*redis.StringCmd, len(keys))
	for i, key := range keys {
		heads[i] = pipe.GetRange(ctx, key, 0, labeledHead+MaxOwnerLength-1)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("read records: %w", err)
	}
	for i, key := range keys {
		_, name, ours := strings.Cut(key, "}:execution:")
		if !ours || recordHead(heads[i].Val()).Owner() != owner {
			continue
		}
		arn := ARN(name)
		n, err := c.remove(ctx, node, arn, ownerIs(owner)).Int()
		if err != nil {
			return erased, fmt.Errorf("erase %s: %w", arn, err)
		}
		if n == 1 {
			erased = append(erased, arn)
		}
	}
	return erased, nil
}
