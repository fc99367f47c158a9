package cache

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Check connects to every primary and refuses one that would lose records, lacks what is
// needed, or takes no writes. Its errors are for the operator: one line that names the
// cure.
func (c *Cache) Check(ctx context.Context) error {
	err := eachPrimary(ctx, c.writers, c.checkPrimary)
	if err == nil || c.address.mode == cluster && !errors.Is(err, ErrUnfit) { // one primary may know what is wrong with another
		err = errors.Join(err, c.ping(ctx))
	}
	return c.examined(ctx, err)
}

func (c *Cache) checkPrimary(ctx context.Context, node *redis.Client) error {
	if err := c.checkACL(ctx, node); err != nil {
		return err
	}
	info, err := serverInfo(ctx, node)
	if err != nil {
		return err
	}
	if err := info.checkKind(c.address.mode); err != nil {
		return err
	}
	if err := info.checkVersion(c.address.mode); err != nil {
		return err
	}
	return info.checkEviction()
}

// checkKind refuses a server that is another one than REDIS_URL says. A replica may be
// about to take over, so that is no reason to give up at once.
func (i info) checkKind(m mode) error {
	switch {
	case i["redis_mode"] == "sentinel":
		return fmt.Errorf("%w: it is a Sentinel; write redis+sentinel://HOST:PORT/NAME in REDIS_URL, with the name of the primary", ErrUnfit)
	case i["cluster_enabled"] == "1" && m != cluster:
		return fmt.Errorf("%w: it is a node of a cluster; write redis+cluster:// in REDIS_URL", ErrUnfit)
	case i["role"] == "slave":
		return &explained{"the server is a replica of " + i["master_host"] + ":" + i["master_port"] +
			" and takes no writes; name its primary in REDIS_URL, or the Sentinels", errReplica}
	}
	return nil
}

var errReplica = errors.New("it is a replica")

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
