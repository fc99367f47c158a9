package main

import (
	"context"
	"errors"
	"fmt"
)

// proxied compares statusd behind an nginx that keeps connections with the same program in which
// net/http serves all connections. The handlers, their checks and the log are the same. One
// request in ten is of another kind, so that every connection carries both.
func (b *bench) proxied(ctx context.Context) ([]line, error) {
	const (
		figure  = "hot read of 1 kB behind nginx, one request in ten a batch, CPU per request"
		without = "statusd with net/http alone"
		limit   = 0.65
	)
	ps := &peers{dir: b.dir}
	defer ps.stopAll()
	redis, err := ps.redis(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := fill(ctx, redis, 1, bodySize); err != nil {
		return nil, err
	}
	key, err := createKey(ctx, redis)
	if err != nil {
		return nil, err
	}
	ours, err := b.behindNginx(ctx, ps, statusd, redis, key)
	if errors.Is(err, errAbsent) {
		return []line{compare(figure, costs{}, statusd, nginxProxy, atMost(limit))}, nil
	}
	if err != nil {
		return nil, err
	}
	cold, err := b.behindNginx(ctx, ps, without, redis, key, envNetHTTP+"=yes")
	if err != nil {
		return nil, err
	}
	c, err := interleave(ctx, b.rounds, []contender{ours, cold})
	if err != nil {
		return nil, err
	}
	return []line{compare(figure, c, statusd, without, atMost(limit))}, nil
}

// behindNginx is a statusd behind an nginx of its own. What nginx uses is not counted.
func (b *bench) behindNginx(ctx context.Context, ps *peers, name string, redis *peer, key string, env ...string) (contender, error) {
	serve, err := ps.self("serve", serveEnv(redis, env...)...)
	if err != nil {
		return contender{}, err
	}
	if err := serve.awaitTrust(ctx, "http://"+serve.addr+statusPath+recordARN(0), key); err != nil {
		return contender{}, err
	}
	front, err := ps.nginxProxy(ctx, serve)
	if err != nil {
		return contender{}, err
	}
	const connections = 64
	other := batchRequest(key)
	return underLoad(name, load{addr: front.addr, connections: connections, request: statusRequest(key, 0), other: &other}, b.turn, serve, redis), nil
}

// batchRequest reads the status of a set of one execution.
func batchRequest(key string) request {
	body := fmt.Sprintf(`{"executionArns":[%q]}`, recordARN(0))
	return request{text: fmt.Sprintf("POST /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nAuthorization: Bearer %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", key, len(body), body)}
}
