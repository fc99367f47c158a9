package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"statuscache/cache"
)

// pollEvery is how often a client polls a running execution.
const pollEvery = 2500 * time.Millisecond

// polls measures how many polls of running executions reach Redis.
func (b *bench) polls(ctx context.Context) ([]line, error) {
	ps := &peers{dir: b.dir}
	defer ps.stopAll()
	redis, err := ps.redis(ctx)
	if err != nil {
		return nil, err
	}
	const executions = 200
	if err := startExecutions(ctx, redis, executions); err != nil {
		return nil, err
	}
	key, err := createKey(ctx, redis)
	if err != nil {
		return nil, err
	}
	serve, err := ps.self("serve", serveEnv(redis)...)
	if err != nil {
		return nil, err
	}
	if err := serve.awaitTrust(ctx, "http://"+serve.addr+statusPath+recordARN(0), key); err != nil {
		return nil, err
	}
	times := 8 // an even number, because about every second poll of one execution is a miss
	if b.quick {
		times = 2
	}
	reads, trips, err := pollAll(ctx, serve, statusRequest(key, executions), times)
	if err != nil {
		return nil, err
	}
	const limit = 0.5
	return []line{{
		figure: fmt.Sprintf("%d running executions polled every %v each, Redis reads per poll", executions, pollEvery),
		ours:   short(reads), beside: "round trips: " + short(trips), ratio: none,
		target: atMost(limit).String(), verdict: verdict(math.Round(100*reads)/100 <= limit),
	}}, nil
}

func startExecutions(ctx context.Context, p *peer, count int) error {
	c, err := openCache(p)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	for i := range count {
		e := cache.Execution{
			ARN: cache.ARN(recordARN(i)), Status: cache.Running, Completeness: cache.Complete, Source: cache.FromEvent,
			StartDate: time.Now(), Owner: benchOwner, InputType: "url",
		}
		if o := c.Apply(ctx, []cache.Execution{e})[0]; o.Err != nil {
			return o.Err
		}
	}
	return nil
}

// pollAll polls every execution of a request once and then, while it is counted,
// a number of times. It returns the records read from Redis and the round trips
// for each poll.
func pollAll(ctx context.Context, serve *peer, q request, times int) (reads, trips float64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var g errgroup.Group
	for i := range q.count {
		g.Go(func() error {
			err := pollOne(ctx, serve.addr, q, i, rand.N(pollEvery))
			if err != nil && ctx.Err() == nil {
				cancel()
				return err
			}
			return nil
		})
	}
	before, err1 := afterPolls(ctx, serve, 1)
	after, err2 := afterPolls(ctx, serve, times)
	cancel()
	if err := errors.Join(g.Wait(), err1, err2); err != nil {
		return 0, 0, err
	}
	missed := after[nearMisses] - before[nearMisses]
	polls := after[nearHits] - before[nearHits] + missed
	if want := float64(times * q.count); math.Abs(polls-want) > want/20 {
		return 0, 0, fmt.Errorf("%.0f polls and not %.0f: this machine is too busy", polls, want)
	}
	return missed / polls, (after[readBatches] - before[readBatches]) / polls, nil
}

// afterPolls returns the counters of a peer after a number of polls.
func afterPolls(ctx context.Context, serve *peer, times int) (map[string]float64, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(time.Duration(times) * pollEvery):
		return serve.counters(ctx)
	}
}

// pollOne polls execution i until ctx ends, beginning after a while.
func pollOne(ctx context.Context, addr string, q request, i int, begin time.Duration) error {
	c, err := dial(ctx, addr, time.Now().Add(time.Minute))
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	text, answers := []byte(q.text), newResponses(c)
	q.write(text, i)
	for next := time.Now().Add(begin); ; next = next.Add(pollEvery) {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(next)):
		}
		if _, err := c.Write(text); err != nil {
			return err
		}
		status, body, err := answers.next()
		if err != nil {
			return err
		}
		if status != http.StatusOK {
			return fmt.Errorf("poll: %d %.200s", status, body)
		}
	}
}
