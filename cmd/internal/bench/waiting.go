package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"statuscache/cache"
)

// The environment of hold, the clients that wait.
const (
	envHoldAddr  = "BENCH_HOLD_ADDR"
	envHoldKey   = "BENCH_HOLD_KEY"
	envHoldFirst = "BENCH_HOLD_FIRST" // number of the first execution
	envHoldCount = "BENCH_HOLD_COUNT"
	envHoldKind  = "BENCH_HOLD_KIND" // poll or stream
)

const (
	waitingCount = 50_000
	crowdCount   = 5000
	waitingGauge = "statuscache_waiting_requests"
	// spareFiles are what a process needs beside its connections.
	spareFiles = 300
)

// hold opens connections that wait for an execution each, and keeps them.
func hold(ctx context.Context) error {
	first, err1 := strconv.Atoi(os.Getenv(envHoldFirst))
	count, err2 := strconv.Atoi(os.Getenv(envHoldCount))
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	conns := make([]net.Conn, count)
	for i := range conns {
		c, err := openWaiting(ctx, os.Getenv(envHoldAddr), os.Getenv(envHoldKey), os.Getenv(envHoldKind), recordARN(first+i))
		if err != nil {
			return err
		}
		if conns[i] = c; i%100 == 99 {
			pauseFor(ctx, 25*time.Millisecond) // not faster than the server takes them on these cores
		}
	}
	fmt.Println("127.0.0.1:1") // where a peer would listen
	<-ctx.Done()
	for _, c := range conns {
		_ = c.Close()
	}
	return nil
}

func openWaiting(ctx context.Context, addr, key, kind, arn string) (net.Conn, error) {
	c, err := dial(ctx, addr, time.Now().Add(time.Hour))
	if err != nil {
		return nil, err
	}
	counted, f := &countedConn{Conn: c}, followed{arn, key}
	if kind == "stream" {
		return c, counted.request(f, "", "text/event-stream")
	}
	return c, counted.request(f, "?wait=600", "*/*")
}

// waiting measures what a client costs that waits, and what waking many costs.
func (b *bench) waiting(ctx context.Context) ([]line, error) {
	ps := &peers{dir: b.dir}
	defer ps.stopAll()
	redis, err := ps.redis(ctx)
	if err != nil {
		return nil, err
	}
	total := waitingCount
	if b.quick {
		total = 2000
	}
	if err := startMany(ctx, redis, total); err != nil {
		return nil, err
	}
	key, err := createKey(ctx, redis)
	if err != nil {
		return nil, err
	}
	var lines []line
	for _, kind := range []string{"poll", "stream"} {
		l, err := b.held(ctx, redis, key, kind, total)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind, err)
		}
		lines = append(lines, l)
	}
	more, err := b.wakeCrowd(ctx, ps, redis, key)
	return append(lines, more...), err
}

// startMany makes it known that executions run.
func startMany(ctx context.Context, p *peer, count int) error {
	c, err := openCache(p)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	const together = 200
	for first := 0; first < count; first += together {
		batch := make([]cache.Execution, min(together, count-first))
		for i := range batch {
			batch[i] = cache.Execution{
				ARN: cache.ARN(recordARN(first + i)), Status: cache.Running, Completeness: cache.Complete, Source: cache.FromEvent,
				StartDate: time.Now(), Owner: benchOwner, InputType: "url",
			}
		}
		for _, o := range c.Apply(ctx, batch) {
			if o.Err != nil {
				return o.Err
			}
		}
	}
	return nil
}

// held measures the memory of clients that wait. Where a process may not open
// enough files, there are several of them.
func (b *bench) held(ctx context.Context, redis *peer, key, kind string, total int) (line, error) {
	ps := &peers{dir: b.dir}
	defer ps.stopAll()
	each, err := connectionsEach()
	if err != nil {
		return line{}, err
	}
	processes := (total + each - 1) / each
	each = (total + processes - 1) / processes
	var rss, live float64
	for i := range processes {
		count := min(each, total-i*each)
		serve, err := ps.serving(ctx, redis, key, i*each)
		if err != nil {
			return line{}, err
		}
		before, err := residentBytes(serve.pid())
		if err != nil {
			return line{}, err
		}
		_, err = ps.self("hold", envHoldAddr+"="+serve.addr, envHoldKey+"="+key, envHoldKind+"="+kind,
			fmt.Sprint(envHoldFirst, "=", i*each), fmt.Sprint(envHoldCount, "=", count))
		if err != nil {
			return line{}, err
		}
		if err := serve.awaitWaiting(ctx, count); err != nil {
			return line{}, err
		}
		after, err := residentBytes(serve.pid())
		if err != nil {
			return line{}, err
		}
		now, err := serve.counters(ctx)
		if err != nil {
			return line{}, err
		}
		rss += after - before
		live += now["go_memstats_heap_alloc_bytes"] + now["go_memstats_stack_inuse_bytes"]
	}
	const limit = 16 // kB
	cost := rss / float64(total) / 1000
	return line{
		figure: fmt.Sprintf("%d waiting clients (%s) in %d processes, resident memory each", total, kind, processes),
		ours:   short(cost) + " kB", beside: "heap and stacks: " + short(live/float64(total)/1000) + " kB", ratio: none,
		target: fmt.Sprintf("≤ %d kB", limit), verdict: verdict(cost <= limit),
	}, nil
}

// serving starts a statusd that lets wait for long, and returns when its near cache
// is trusted, by a read of the execution with a number.
func (ps *peers) serving(ctx context.Context, redis *peer, key string, number int) (*peer, error) {
	serve, err := ps.self("serve", serveEnv(redis, "MAX_WAIT=10m")...)
	if err != nil {
		return nil, err
	}
	return serve, serve.awaitTrust(ctx, "http://"+serve.addr+statusPath+recordARN(number), key)
}

// connectionsEach is how many connections one process may have.
func connectionsEach() (int, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	return int(min(limit.Cur, waitingCount+spareFiles)) - spareFiles, nil
}

// residentBytes is the memory of a process that is in use (VmRSS).
func residentBytes(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, "VmRSS:"); found {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
			return kib * 1024, err
		}
	}
	return 0, errors.New("/proc/PID/status has no VmRSS")
}

// awaitWaiting returns when so many requests wait in a peer, and have for a while.
func (p *peer) awaitWaiting(ctx context.Context, count int) error {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); pauseFor(ctx, time.Second) {
		now, err := p.counters(ctx)
		if err != nil {
			return err
		}
		if now[waitingGauge] == float64(count) {
			pauseFor(ctx, 6*time.Second) // each was looked at again by then
			return ctx.Err()
		}
	}
	return fmt.Errorf("there are not %d requests that wait", count)
}

// wakeCrowd has many clients wait for one execution, ends it, and has them all
// come back at once.
func (b *bench) wakeCrowd(ctx context.Context, ps *peers, redis *peer, key string) ([]line, error) {
	crowd := crowdCount
	if b.quick {
		crowd = 500
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
	conns, err := openCrowd(ctx, serve.addr, f, crowd)
	if err != nil {
		return nil, err
	}
	if err := serve.awaitWaiting(ctx, crowd); err != nil {
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
	back, err := comeBack(ctx, serve.addr, followed{recordARN(1), key}, crowd)
	if err != nil {
		return nil, fmt.Errorf("coming back: %w", err)
	}
	return []line{
		{
			figure: fmt.Sprintf("%d clients of one execution, its end told to all", crowd), ours: took.Round(time.Millisecond).String(),
			beside: fmt.Sprintf("Redis reads: %d", reads), ratio: none, target: "≤ 1s, ≤ 2 reads", verdict: verdict(took <= time.Second && reads <= 2),
		},
		{
			figure: fmt.Sprintf("%d clients come back at once", crowd), ours: back.Round(time.Millisecond).String(),
			beside: "errors: 0", ratio: none, target: "no error", verdict: good,
		},
	}, nil
}

// comeBack has a crowd connect all at once, and returns how long it takes until each
// has its first answer.
func comeBack(ctx context.Context, addr string, f followed, crowd int) (time.Duration, error) {
	begun := time.Now()
	conns, err := openCrowd(ctx, addr, f, crowd)
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

// openCrowd opens streams of one execution, as fast as it goes.
func openCrowd(ctx context.Context, addr string, f followed, count int) ([]net.Conn, error) {
	conns := make([]net.Conn, count)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(64)
	for i := range conns {
		g.Go(func() (err error) {
			conns[i], err = openWaiting(ctx, addr, f.key, "stream", f.arn)
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

// crowded compares hot reads of a process in which many wait with those of one in
// which nobody does.
func (b *bench) crowded(ctx context.Context) ([]line, error) {
	ps := &peers{dir: b.dir}
	defer ps.stopAll()
	redis, err := ps.redis(ctx)
	if err != nil {
		return nil, err
	}
	crowd := crowdCount
	if b.quick {
		crowd = 500
	}
	if err := startMany(ctx, redis, crowd+1); err != nil {
		return nil, err
	}
	key, err := createKey(ctx, redis)
	if err != nil {
		return nil, err
	}
	const alone = "statusd, nobody waits"
	var contenders []contender
	for _, name := range []string{statusd, alone} {
		serve, err := ps.serving(ctx, redis, key, 0)
		if err != nil {
			return nil, err
		}
		if name == statusd {
			_, err = ps.self("hold", envHoldAddr+"="+serve.addr, envHoldKey+"="+key, envHoldKind+"=stream",
				envHoldFirst+"=1", fmt.Sprint(envHoldCount, "=", crowd))
			if err == nil {
				err = serve.awaitWaiting(ctx, crowd)
			}
			if err != nil {
				return nil, err
			}
		}
		const connections = 16
		contenders = append(contenders, underLoad(name, load{serve.addr, connections, statusRequest(key, 0)}, b.turn, serve))
	}
	c, err := interleave(ctx, b.rounds, contenders)
	if err != nil {
		return nil, err
	}
	return []line{compare(fmt.Sprintf("hot read while %d clients wait, CPU per request", crowd), c, statusd, alone, atMost(1.1))}, nil
}
