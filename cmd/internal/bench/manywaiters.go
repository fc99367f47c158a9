package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

// waitersCount is how many clients wait for one execution.
const waitersCount = 5000

// wakeCrowd has many clients wait for one execution, ends it, and has them all
// come back at once.
func (b *bench) wakeCrowd(ctx context.Context, ps *peers, redis *peer, key string) ([]line, error) {
	waiters := waitersCount
	if b.quick {
		waiters = 500
	}
	serve, err := ps.serving(ctx, redis, key, 0)
	if err != nil {
		return nil, err
	}
	c, err := openCache(redis)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	client := goredis(redis)
	defer func() { _ = client.Close() }()
	f := followed{recordARN(0), key}
	conns, err := connectAll(ctx, serve.addr, f, waiters)
	if err != nil {
		return nil, err
	}
	if err := serve.awaitWaiting(ctx, waiters); err != nil {
		return nil, err
	}
	before, err := readsOf(ctx, client)
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	if err := endExecution(ctx, c, f.arn); err != nil {
		return nil, err
	}
	if err := awaitText(conns, succeededText); err != nil {
		return nil, err
	}
	took := time.Since(begun)
	after, err := readsOf(ctx, client)
	if err != nil {
		return nil, err
	}
	reads := after - before - 1 // one is the bench's own, to end it
	for _, conn := range conns {
		_ = conn.Close()
	}
	back, err := comeBack(ctx, serve.addr, followed{recordARN(1), key}, waiters)
	if err != nil {
		return nil, fmt.Errorf("coming back: %w", err)
	}
	return []line{
		{
			figure: fmt.Sprintf("%d clients of one execution, all notified of its end", waiters), ours: took.Round(time.Millisecond).String(),
			beside: fmt.Sprintf("Redis reads: %d", reads), ratio: none, target: "≤ 1s, ≤ 2 reads", verdict: verdict(took <= time.Second && reads <= 2),
		},
		{
			figure: fmt.Sprintf("%d clients come back at once", waiters), ours: back.Round(time.Millisecond).String(),
			beside: "errors: 0", ratio: none, target: "no error", verdict: good,
		},
	}, nil
}

// comeBack has many clients connect all at once, and returns how long it takes until each
// has its first answer.
func comeBack(ctx context.Context, addr string, f followed, waiters int) (time.Duration, error) {
	begun := time.Now()
	conns, err := connectAll(ctx, addr, f, waiters)
	if err == nil {
		err = awaitText(conns, []byte(`"status":"RUNNING"`))
	}
	took := time.Since(begun)
	for _, conn := range conns {
		_ = conn.Close()
	}
	return took, err
}

func goredis(p *peer) *redis.Client { return redis.NewClient(&redis.Options{Addr: p.addr}) }

// connectAll opens streams of one execution, as fast as possible.
func connectAll(ctx context.Context, addr string, f followed, count int) ([]net.Conn, error) {
	conns := make([]net.Conn, count)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(64)
	for i := range conns {
		g.Go(func() (err error) {
			conns[i], err = openWaiting(ctx, nil, addr, f.key, "stream", f.arn)
			return err
		})
	}
	return conns, g.Wait()
}

// awaitText reads each connection until a text has come.
func awaitText(conns []net.Conn, text []byte) error {
	var g errgroup.Group
	for _, c := range conns {
		g.Go(func() error {
			lines := bufio.NewScanner(c)
			for lines.Scan() {
				if bytes.Contains(lines.Bytes(), text) {
					return nil
				}
			}
			return fmt.Errorf("a stream ended early: %w", lines.Err())
		})
	}
	return g.Wait()
}

// readsOf returns how many reads of records Redis has served.
func readsOf(ctx context.Context, client *redis.Client) (int, error) {
	info, err := client.Info(ctx, "commandstats").Result()
	if err != nil {
		return 0, err
	}
	sum := 0
	for line := range strings.Lines(info) {
		if rest, found := strings.CutPrefix(line, "cmdstat_mget:calls="); found {
			text, _, _ := strings.Cut(rest, ",")
			n, err := strconv.Atoi(text)
			if err != nil {
				return 0, err
			}
			sum += n
		}
	}
	return sum, nil
}

// withWaiters compares hot reads of a process in which many wait with those of one in
// which nobody does.
func (b *bench) withWaiters(ctx context.Context) ([]line, error) {
	ps := &peers{dir: b.dir}
	defer ps.stopAll()
	redis, err := ps.redis(ctx)
	if err != nil {
		return nil, err
	}
	waiters := waitersCount
	if b.quick {
		waiters = 500
	}
	if err := startMany(ctx, redis, waiters+1); err != nil {
		return nil, err
	}
	key, err := createKey(ctx, redis)
	if err != nil {
		return nil, err
	}
	const alone = "statusd, nobody waits"
	var contenders []contender
	for _, name := range []string{statusd, alone} {
		begin := func() (*peer, error) { return ps.serving(ctx, redis, key, 0) }
		if name == statusd {
			begin = func() (*peer, error) { return ps.holding(ctx, redis, key, "stream", 1, waiters) }
		}
		serve, err := begin()
		if err != nil {
			return nil, err
		}
		const connections = 16
		contenders = append(contenders, underLoad(name, load{addr: serve.addr, connections: connections, request: statusRequest(key, 0)}, b.turn, serve))
	}
	c, err := interleave(ctx, b.rounds, contenders)
	if err != nil {
		return nil, err
	}
	return []line{compare(fmt.Sprintf("hot read while %d clients wait, CPU per request", waiters), c, statusd, alone, atMost(1.05))}, nil
}
