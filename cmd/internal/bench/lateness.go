package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"statuscache/cache"
)

// way is a way to learn that an execution has ended.
type way struct {
	name string
	// follow returns when the client knows of the end. requests is how many requests that took.
	follow func(context.Context, *countedConn, followed) (requests int, err error)
	// Limits for the delay of a client, in ms, and for its requests; 0: none.
	late, requests float64
}

var ways = []way{
	{"documented poller", pollUntilEnd, 0, 0},
	{"long poll", longPollUntilEnd, 10, 2},
	{"stream", streamUntilEnd, 10, 2},
}

// followed is an execution and the key of its reader.
type followed struct{ arn, key string }

// learned has the delay and the cost of one client.
type learned struct{ late, requests, bytes float64 }

// lateness measures how soon clients learn of a change, and what that costs, in all ways at the
// same time.
func (b *bench) lateness(ctx context.Context) ([]line, error) {
	ps := &peers{dir: b.dir}
	defer ps.stopAll()
	redis, err := ps.redis(ctx)
	if err != nil {
		return nil, err
	}
	executions, longest := 400, 20*time.Second
	if b.quick {
		executions, longest = 30, 4*time.Second
	}
	if err := startExecutions(ctx, redis, executions); err != nil {
		return nil, err
	}
	key, err := createKey(ctx, redis)
	if err != nil {
		return nil, err
	}
	serve, err := ps.serving(ctx, redis, key, 0)
	if err != nil {
		return nil, err
	}
	all, err := learnEnds(ctx, redis, serve.addr, key, executions, longest)
	if err != nil {
		return nil, err
	}
	lines := make([]line, len(ways))
	for i, w := range ways {
		lines[i] = w.line(all[i])
		if i == 0 {
			lines[i].figure = fmt.Sprintf("%d executions of up to %v, change to client p50 and p99: %s, every %v", executions, longest, w.name, pollEvery)
		}
	}
	return lines, nil
}

func (w *way) line(all []learned) line {
	var late, requests, bytes []float64
	for _, l := range all {
		late, requests, bytes = append(late, l.late), append(requests, l.requests), append(bytes, l.bytes)
	}
	p99, n := percentile(late, 99), mean(requests)
	l := line{
		figure: w.name, ours: fmt.Sprintf("%s and %s ms", short(percentile(late, 50)), short(p99)),
		beside: fmt.Sprintf("requests %s, bytes %s each", short(n), short(mean(bytes))), ratio: none, target: none, verdict: none,
	}
	if w.late > 0 {
		l.target = fmt.Sprintf("p99 ≤ %s ms, ≤ %s requests", short(w.late), short(w.requests))
		l.verdict = verdict(p99 <= w.late && n <= w.requests)
	}
	return l
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// learnEnds ends each execution at a time of its own while a client of each way
// follows it, and returns what they learned, by way.
func learnEnds(ctx context.Context, redis *peer, addr, key string, executions int, longest time.Duration) ([][]learned, error) {
	c, err := openCache(redis)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	var mu sync.Mutex
	all := make([][]learned, len(ways))
	g, ctx := errgroup.WithContext(ctx)
	for i := range executions {
		f := followed{recordARN(i), key}
		changed := make(chan time.Time, len(ways))
		g.Go(func() error {
			pauseFor(ctx, time.Second+rand.N(longest-time.Second))
			at := time.Now()
			for range ways {
				changed <- at
			}
			return endExecution(ctx, c, f.arn)
		})
		for n, w := range ways {
			g.Go(func() error {
				pauseFor(ctx, rand.N(time.Second)) // not all at once
				l, err := learn(ctx, w, addr, f, changed)
				mu.Lock()
				defer mu.Unlock()
				all[n] = append(all[n], l)
				return err
			})
		}
	}
	return all, g.Wait()
}

func pauseFor(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func endExecution(ctx context.Context, c *cache.Cache, arn string) error {
	r, err := c.Get(ctx, cache.ARN(arn))
	if err != nil {
		return err
	}
	return c.Apply(ctx, []cache.Execution{{
		ARN: r.ARN, Status: cache.Succeeded, Completeness: cache.Complete, Source: cache.FromEvent,
		StartDate: r.StartDate, StopDate: time.Now(), Owner: benchOwner, InputType: "url",
		Output: []byte(`{"rules":[],"metadata":{"inputType":"url","rulesGenerated":5}}`),
	}})[0].Err
}

func learn(ctx context.Context, w way, addr string, f followed, changed <-chan time.Time) (learned, error) {
	inner, err := dial(ctx, addr, time.Now().Add(2*time.Minute))
	if err != nil {
		return learned{}, err
	}
	c := &countedConn{Conn: inner}
	defer func() { _ = c.Close() }()
	requests, err := w.follow(ctx, c, f)
	if err != nil {
		return learned{}, fmt.Errorf("%s: %w", w.name, err)
	}
	knows := time.Now()
	return learned{inMillis(knows.Sub(<-changed)), float64(requests), float64(c.bytes.Load())}, nil
}

// countedConn counts what goes both ways.
type countedConn struct {
	net.Conn
	bytes atomic.Int64
}

func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.bytes.Add(int64(n))
	return n, err
}

func (c *countedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.bytes.Add(int64(n))
	return n, err
}

// request writes a request for an execution.
func (c *countedConn) request(f followed, query, accept string) error {
	_, err := fmt.Fprintf(c, "GET %s%s%s HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nAccept: %s\r\nAuthorization: Bearer %s\r\n\r\n",
		statusPath, f.arn, query, accept, f.key)
	return err
}

var succeededText = []byte(`"status":"SUCCEEDED"`)

func pollUntilEnd(ctx context.Context, c *countedConn, f followed) (requests int, err error) {
	answers := newResponses(c)
	for {
		requests++
		if ended, err := askOnce(c, answers, f, ""); ended || err != nil {
			return requests, err
		}
		if pauseFor(ctx, pollEvery); ctx.Err() != nil {
			return requests, ctx.Err()
		}
	}
}

func longPollUntilEnd(_ context.Context, c *countedConn, f followed) (requests int, err error) {
	answers := newResponses(c)
	for {
		requests++
		if ended, err := askOnce(c, answers, f, "?wait=25"); ended || err != nil {
			return requests, err
		}
	}
}

func askOnce(c *countedConn, answers *responses, f followed, query string) (ended bool, err error) {
	if err := c.request(f, query, "*/*"); err != nil {
		return false, err
	}
	status, body, err := answers.next()
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%d %.200s", status, body)
	}
	return bytes.Contains(body, succeededText), err
}

func streamUntilEnd(_ context.Context, c *countedConn, f followed) (requests int, err error) {
	if err := c.request(f, "", "text/event-stream"); err != nil {
		return 1, err
	}
	lines := bufio.NewScanner(c)
	for lines.Scan() {
		if bytes.Contains(lines.Bytes(), succeededText) {
			return 1, nil
		}
	}
	return 1, fmt.Errorf("the stream ended early: %w", lines.Err())
}
