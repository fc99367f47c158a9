package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

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
	waitingCount = 100_000
	waitingGauge = "statuscache_waiting_requests"
	// fromOneAddress is how many connections, of all processes, begin at one address of
	// loopback. It has 28,000 ports for them, of which Linux finds the second half slowly.
	fromOneAddress = 12_000
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
		from := &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+(first+i)/fromOneAddress))}
		c, err := openWaiting(ctx, from, os.Getenv(envHoldAddr), os.Getenv(envHoldKey), os.Getenv(envHoldKind), recordARN(first+i))
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

func openWaiting(ctx context.Context, from net.Addr, addr, key, kind, arn string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: from}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(time.Hour)) // it is open
	counted, f := &countedConn{Conn: c}, followed{arn, key}
	if kind == "stream" {
		return c, counted.request(f, "", "text/event-stream")
	}
	return c, counted.request(f, "?wait=600", "*/*")
}

// waiting measures the cost of a waiting client, and of waking many.
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

// startMany stores the starts of executions.
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

// held measures the memory of clients that wait, beyond that of a process in which nobody does:
// each process remembers the newest executions. Where a process may not open enough files,
// there are several of them.
func (b *bench) held(ctx context.Context, redis *peer, key, kind string, total int) (line, error) {
	ps := &peers{dir: b.dir}
	defer ps.stopAll()
	each, err := connectionsEach()
	if err != nil {
		return line{}, err
	}
	processes := (total + each - 1) / each
	each = (total + processes - 1) / processes
	idle, err := ps.serving(ctx, redis, key, 0)
	if err != nil {
		return line{}, err
	}
	var rss, live float64
	for i := range processes {
		serve, err := ps.holding(ctx, redis, key, kind, i*each, min(each, total-i*each))
		if err != nil {
			return line{}, err
		}
		here, err := residentBytes(serve.pid())
		if err != nil {
			return line{}, err
		}
		now, err := serve.counters(ctx)
		if err != nil {
			return line{}, err
		}
		rss += here
		live += now["go_memstats_heap_alloc_bytes"] + now["go_memstats_stack_inuse_bytes"]
	}
	alone, err := residentBytes(idle.pid())
	if err != nil {
		return line{}, err
	}
	const limit = 8 // kB
	cost := (rss - float64(processes)*alone) / float64(total) / 1000
	return line{
		figure: fmt.Sprintf("%d waiting clients (%s) in %d processes, resident memory each", total, kind, processes),
		ours:   short(cost) + " kB", beside: fmt.Sprintf("nobody waits: %s MB; heap and stacks, with that: %s kB", short(alone/1e6), short(live/float64(total)/1000)), ratio: none,
		target: fmt.Sprintf("≤ %d kB", limit), verdict: verdict(cost <= limit),
	}, nil
}

// holding starts a statusd and clients that wait in it, each for an execution, from the one with
// a number on.
func (ps *peers) holding(ctx context.Context, redis *peer, key, kind string, first, count int) (*peer, error) {
	serve, err := ps.serving(ctx, redis, key, first)
	if err != nil {
		return nil, err
	}
	_, err = ps.self("hold", envHoldAddr+"="+serve.addr, envHoldKey+"="+key, envHoldKind+"="+kind,
		fmt.Sprint(envHoldFirst, "=", first), fmt.Sprint(envHoldCount, "=", count))
	if err != nil {
		return nil, err
	}
	return serve, serve.awaitWaiting(ctx, count)
}

// serving starts a statusd that allows long waits. It returns when its near cache is trusted,
// according to a read of the execution with a number.
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

// awaitWaiting returns when count requests have been waiting in a peer for a while.
func (p *peer) awaitWaiting(ctx context.Context, count int) error {
	var waits float64
	for end := time.Now().Add(time.Minute); time.Now().Before(end); pauseFor(ctx, time.Second) {
		now, err := p.counters(ctx)
		if err != nil {
			return err
		}
		if waits = now[waitingGauge]; waits == float64(count) {
			pauseFor(ctx, 6*time.Second) // each was looked at again by then
			return ctx.Err()
		}
	}
	return fmt.Errorf("%v requests wait, not %d", waits, count)
}
