package redisdb

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// Client sends commands to Redis, or to one node of a cluster. It is a *redis.Client, or for
// all of a cluster a *redis.ClusterClient.
//
// It is an interface, and no type that another package sees names those two types. A package
// that sees them takes seconds longer to compile, four with the race detector. They contain a
// weak.Pointer to one of them, so the compiler makes their thousand methods again.
type Client interface {
	redis.Cmdable
	Do(ctx context.Context, args ...any) *redis.Cmd
	Process(ctx context.Context, cmd redis.Cmder) error
	AddHook(redis.Hook)
	Close() error
}

// subscription is a *redis.PubSub, which contains a client.
type subscription interface {
	Subscribe(ctx context.Context, channels ...string) error
	SSubscribe(ctx context.Context, channels ...string) error
	Ping(ctx context.Context, payload ...string) error
	ReceiveTimeout(ctx context.Context, limit time.Duration) (any, error)
	Close() error
}

// Address returns the host and port of a node. It must not be inlined: see Client.
//
//go:noinline
func Address(node Client) string { return node.(*redis.Client).Options().Addr }

// subscribeTo returns a subscription on a node, without channels yet.
func subscribeTo(ctx context.Context, node Client) subscription {
	return node.(*redis.Client).Subscribe(ctx)
}
