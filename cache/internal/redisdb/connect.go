package redisdb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/auth"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Time limits for Redis. The first two are the defaults of Options.
const (
	DefaultReadLimit  = 300 * time.Millisecond // one read: pool, dial, retry and answer together
	DefaultWriteLimit = 500 * time.Millisecond // of one answer to a write
	ackLimit          = 400 * time.Millisecond // replicas may take to confirm; within DefaultWriteLimit
)

// Dialer opens a connection; tests put faults into it.
type Dialer func(ctx context.Context, network, addr string) (net.Conn, error)

// clientFor is the purpose of a client. Each purpose has separate connections, so that a
// burst of writes does not make readers wait for the pool.
type clientFor int

const (
	reads clientFor = iota
	writes
	notifications
)

// Lives of connections.
const (
	idleLife         = 5 * time.Minute
	connectionLife   = 30 * time.Minute
	connectionJitter = 5 * time.Minute
)

const poolSize = 16 // connections of a client to a node

// bounds returns how often a client repeats a failed command (-1: not at all), and how
// long an answer may take.
func (a *address) bounds(purpose clientFor) (retries int, limit time.Duration) {
	if purpose == reads {
		return 1, cmp.Or(a.readLimit, DefaultReadLimit)
	}
	return -1, cmp.Or(a.writeLimit, DefaultWriteLimit)
}

// logins returns how the connections of a client get a password that changes; both are nil if
// it does not change. go-redis logs pooled connections in again, but never releases an ended
// subscription. So subscriptions log in once, and the feed renews them.
func (a *address) logins(purpose clientFor) (renewed auth.StreamingCredentialsProvider, once func(context.Context) (string, string, error)) {
	switch {
	case a.credentials == nil:
		return nil, nil
	case purpose == notifications:
		return nil, func(ctx context.Context) (string, string, error) { return a.credentials.login(ctx.Done()) }
	}
	return a.credentials, nil
}

// noMaintenance prevents go-redis from requesting notifications that few servers support.
func noMaintenance() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// connect returns a client for a. It does not dial.
func (a *address) connect(purpose clientFor, dial Dialer) Client {
	retries, limit := a.bounds(purpose)
	renewed, once := a.logins(purpose)
	switch a.mode {
	case cluster:
		return redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: a.hosts, Dialer: a.dialer(dial),
			Username: a.username, Password: a.password, StreamingCredentialsProvider: renewed, CredentialsProviderContext: once,
			Protocol: 3, ContextTimeoutEnabled: true, DisableIdentity: true, MaintNotificationsConfig: noMaintenance(),
			ClusterStateReloadInterval: cmp.Or(a.reload, time.Second), // otherwise writes go to a dead primary for a minute
			MaxRedirects:               2, PoolSize: poolSize,
			DialTimeout: limit, DialerRetries: 1, ReadTimeout: limit, WriteTimeout: limit, PoolTimeout: limit,
			ConnMaxIdleTime: idleLife, ConnMaxLifetime: connectionLife, ConnMaxLifetimeJitter: connectionJitter,
		})
	case sentinel:
		return redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: a.master, SentinelAddrs: a.hosts, SentinelUsername: a.sentinelUsername, SentinelPassword: a.sentinelPassword,
			DB: a.database, Dialer: a.dialer(dial),
			Username: a.username, Password: a.password, StreamingCredentialsProvider: renewed, CredentialsProviderContext: once,
			Protocol: 3, ContextTimeoutEnabled: true, DisableIdentity: true,
			MaxRetries: retries, PoolSize: poolSize, PipelinePoolSize: -1,
			DialTimeout: limit, DialerRetries: 1, ReadTimeout: limit, WriteTimeout: limit, PoolTimeout: limit,
			ConnMaxIdleTime: idleLife, ConnMaxLifetime: connectionLife, ConnMaxLifetimeJitter: connectionJitter,
		})
	default:
		return a.node(a.hosts[0], purpose, dial)
	}
}

// node returns a client of one node. It does not dial.
func (a *address) node(addr string, purpose clientFor, dial Dialer) Client {
	retries, limit := a.bounds(purpose)
	renewed, once := a.logins(purpose)
	return redis.NewClient(&redis.Options{
		Addr: addr, DB: a.database, Dialer: a.dialer(dial),
		Username: a.username, Password: a.password, StreamingCredentialsProvider: renewed, CredentialsProviderContext: once,
		Protocol: 3, ContextTimeoutEnabled: true, DisableIdentity: true, MaintNotificationsConfig: noMaintenance(),
		MaxRetries: retries, PoolSize: poolSize, PipelinePoolSize: -1,
		DialTimeout: limit, DialerRetries: 1, ReadTimeout: limit, WriteTimeout: limit, PoolTimeout: limit,
		ConnMaxIdleTime: idleLife, ConnMaxLifetime: connectionLife, ConnMaxLifetimeJitter: connectionJitter,
	})
}

// primaryOf returns a client of the primary that has a key. A ClusterClient repeats
// commands that were not answered in time, which is only safe for some commands.
func primaryOf(ctx context.Context, c Client, key string) (Client, error) {
	switch c := c.(type) {
	case *redis.Client:
		return c, nil
	case *redis.ClusterClient:
		node, err := c.MasterForKey(ctx, key)
		if err != nil {
			return nil, fmt.Errorf("find the primary: %w", err)
		}
		return node, nil
	}
	return nil, fmt.Errorf("no way to find the primary of a key with a %T", c)
}

// eachPrimary calls f with a client of every primary, concurrently if there are several,
// and joins the errors.
func eachPrimary(ctx context.Context, c Client, f func(context.Context, Client) error) error {
	switch c := c.(type) {
	case *redis.Client:
		return f(ctx, c)
	case *redis.ClusterClient:
		var mu sync.Mutex
		var all []error
		err := c.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
			if err := f(ctx, node); err != nil {
				mu.Lock()
				defer mu.Unlock()
				all = append(all, err)
			}
			return nil
		})
		return errors.Join(append(all, err)...)
	}
	return fmt.Errorf("no way to reach every primary of a %T", c)
}
