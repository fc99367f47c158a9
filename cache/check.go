package cache

import (
	"context"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Check connects to every primary and refuses one that would lose records. Its
// errors are for the operator: one line that names the cure.
func (c *Cache) Check(ctx context.Context) error {
	err := eachPrimary(ctx, c.writers, func(ctx context.Context, node *redis.Client) error {
		info, err := serverInfo(ctx, node)
		if err != nil {
			return err
		}
		if err := info.checkVersion(c.address.mode); err != nil {
			return err
		}
		return info.checkEviction()
	})
	if err != nil {
		return err
	}
	return c.checkPublish(ctx)
}

// checkPublish refuses a Redis user who may not announce changes: nobody would
// ever hear of one. Such is a user of Redis 7 by default.
func (c *Cache) checkPublish(ctx context.Context) error {
	err := c.writers.Do(ctx, c.publish, c.names.keyChanges, "").Err()
	if redis.HasErrorPrefix(err, "NOPERM") {
		return fmt.Errorf("%w: its user may not publish; allow it the channels (ACL SETUSER name &%s:*)", ErrUnfit, c.names.prefix)
	}
	return err
}

func (c *Cache) explained(err error) error { return err }

func parseInfo(text string) info {
	fields := info{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields
}

// checkVersion refuses a Redis that lacks what the store uses. Fields that are
// not there say nothing: the Redis of a laptop has none.
func (i info) checkVersion(m mode) error {
	need, why := [2]int{6, 2}, "for SET with PXAT"
	if m == cluster {
		need, why = [2]int{7, 0}, "for sharded publish and subscribe"
	}
	var have [2]int
	if _, err := fmt.Sscanf(i["redis_version"], "%d.%d", &have[0], &have[1]); err != nil {
		return nil
	}
	if have[0] < need[0] || have[0] == need[0] && have[1] < need[1] {
		return fmt.Errorf("%w: version %d.%d is too old, %d.%d or newer is needed %s", ErrUnfit, have[0], have[1], need[0], need[1], why)
	}
	return nil
}

// checkEviction refuses the policies that evict records of running executions
// or forget which execution is whose.
func (i info) checkEviction() error {
	switch policy := i["maxmemory_policy"]; policy {
	case "", "noeviction", "volatile-ttl":
		return nil
	default:
		return fmt.Errorf("%w: its maxmemory-policy %s evicts records; set it to noeviction (CONFIG SET maxmemory-policy noeviction, or the parameter group of a managed Redis) or volatile-ttl", ErrUnfit, policy)
	}
}
