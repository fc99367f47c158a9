package redisdb

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// sentinelNode returns a client of one Sentinel. It does not dial. It is not a method: see Client.
func sentinelNode(a *address, addr string, dial Dialer) *redis.SentinelClient {
	_, limit := a.bounds(writes)
	return redis.NewSentinelClient(&redis.Options{
		Addr: addr, Username: a.sentinelUsername, Password: a.sentinelPassword, Dialer: a.dialer(dial),
		ContextTimeoutEnabled: true, DisableIdentity: true, MaintNotificationsConfig: noMaintenance(), MaxRetries: -1, PoolSize: 1,
		DialTimeout: limit, DialerRetries: 1, ReadTimeout: limit, WriteTimeout: limit, PoolTimeout: limit,
	})
}

// sentinelsListReplica reports whether a Sentinel lists a replica that has followed the
// current primary, connected or not. A replaced primary is listed too, but has not
// followed the current one.
func (a *address) sentinelsListReplica(ctx context.Context, dial Dialer) bool {
	for _, host := range a.hosts {
		s := sentinelNode(a, host, dial)
		replicas, err := s.Replicas(ctx, a.master).Result()
		_ = s.Close() // it is not needed any more
		for _, r := range replicas {
			if err == nil && r["slave-repl-offset"] != "" && r["slave-repl-offset"] != "0" {
				return true
			}
		}
	}
	return false
}
