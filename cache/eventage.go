package cache

import (
	"context"
	"errors"
	"fmt"
	"statuscache/cache/internal/redisdb"

	"github.com/redis/go-redis/v9"
)

// LatestEvent returns the observation that was applied last among the newest executions
// and came as an event, not as a replay; a zero one if there is none.
func LatestEvent(ctx context.Context, c *Cache) (latest Observation, err error) {
	pipe := c.db.Writers.Pipeline()
	newest := make([]*redis.StringSliceCmd, redisdb.PartitionCount)
	for i := range c.db.Names.Partitions {
		newest[i] = pipe.ZRevRange(ctx, c.db.Names.Partitions[i].Recent, 0, 0)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return latest, fmt.Errorf("read indexes: %w", err)
	}
	pipe = c.db.Writers.Pipeline()
	var records []*redis.StringCmd
	for _, cmd := range newest {
		for _, arn := range cmd.Val() {
			records = append(records, pipe.Get(ctx, c.db.Names.Execution(string(arn))))
		}
	}
	if len(records) == 0 {
		return latest, nil
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return latest, fmt.Errorf("read records: %w", err)
	}
	for _, record := range records {
		b, err := record.Bytes()
		if err != nil {
			continue // it has expired
		}
		p, err := takeApart(b)
		if err != nil {
			continue // of another release
		}
		trail, _ := readTrail(p.trail) // as far as it can be read
		for _, o := range trail {
			if o.Source == FromEvent && !o.EmittedAt.IsZero() && !o.ReceivedAt.IsZero() && o.AppliedAt.After(latest.AppliedAt) {
				latest = o
			}
		}
	}
	return latest, nil
}
