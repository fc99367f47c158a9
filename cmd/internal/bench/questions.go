package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"statuscache/cache"
	"statuscache/cache/apikeys"
	"statuscache/cmd/internal/bench/questions"
)

const (
	questionsPerSecond = 50
	eventsPerSecond    = 500
	askingOwners       = 20
	seedLimit          = 10 * time.Second // of Redis, for one answer
)

// questions measures the questions about many executions, while events come in.
func (b *bench) questions(ctx context.Context) ([]line, error) {
	ps := &peers{dir: b.dir}
	defer ps.stopAll()
	url, err := b.redisURL(ctx, ps)
	if err != nil {
		return nil, err
	}
	c, err := cache.Open(cache.Options{
		URL: url, Prefix: benchPrefix, Retention: retention, ReadLimit: seedLimit, WriteLimit: seedLimit,
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	p := &questions.Population{Records: b.records, Machines: 200, Owners: 500, Until: time.Now()}
	rounds := 200 // three minutes
	if b.quick {
		p.Records, rounds = 20_000, 5
	}
	begun := time.Now()
	if err := p.Seed(ctx, c, func(done int) { b.say("%d records after %v", done, time.Since(begun).Round(time.Second)) }); err != nil {
		return nil, err
	}
	b.say("%d records are there after %v", p.Records, time.Since(begun).Round(time.Second))
	a := &questions.Asking{Population: p, PerSecond: questionsPerSecond, Cache: c}
	if a.Callers, err = questioners(ctx, c); err != nil {
		return nil, err
	}
	serve, err := ps.self("serve", "ROLE=api", "REDIS_URL="+url, "API_KEY_PEPPER="+pepper, "RATE_LIMIT=1000000")
	if err != nil {
		return nil, err
	}
	if err := serve.awaitReady(ctx); err != nil {
		return nil, err
	}
	a.Address = serve.addr
	return b.askAll(ctx, a, c, rounds, ps.pids())
}

// askAll asks while events come in, and returns a line for each question. servers are the
// processes of statusd and Redis.
func (b *bench) askAll(ctx context.Context, a *questions.Asking, c *cache.Cache, rounds int, servers []int) ([]line, error) {
	begun := time.Now()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var events int
	var feeding errgroup.Group
	feeding.Go(func() (err error) {
		events, err = a.Population.Feed(ctx, c, eventsPerSecond)
		stop() // without events there is nothing to measure
		return err
	})
	all, err := a.Ask(ctx, 1) // the first answers read what no answer has read before
	if err == nil {
		b.say("the first answers took up to %.0f ms", slowest(all))
		all, err = a.Ask(ctx, rounds)
	}
	if err == nil {
		err = a.Work(ctx, all, rounds/2, func() (time.Duration, error) { return processorTime(servers) })
	}
	took := time.Since(begun)
	stop()
	if feedErr := feeding.Wait(); feedErr != nil {
		return nil, feedErr
	}
	if err != nil {
		return nil, err
	}
	where := fmt.Sprintf("%d records, %.0f events and %d questions a second", a.Population.Records, float64(events)/took.Seconds(), questionsPerSecond)
	if b.cluster {
		where += ", cluster of 3 + 3"
	}
	lines := []line{{figure: where + ": ms, p50 and p99", ratio: "work of an answer", target: fmt.Sprintf("%d events", eventsPerSecond), beside: none, verdict: none}}
	together := &questions.Answers{Caller: "both", What: "all questions together"}
	for _, each := range all {
		lines = append(lines, questionLine(each))
		if !each.IsFloor() {
			together.Millis = append(together.Millis, each.Millis...)
			together.Bytes += each.Bytes
			together.Refused += each.Refused
		}
	}
	return append(lines, questionLine(together)), nil
}

func questionLine(a *questions.Answers) line {
	limit := 25.0
	if a.What == questions.Overview {
		limit = 5
	}
	p99 := percentile(a.Millis, 99)
	target, judged := fmt.Sprintf("p99 ≤ %.0f ms", limit), verdict(p99 <= limit && a.Refused == 0)
	if a.IsFloor() {
		target, judged = none, none
	}
	work := none
	if a.Work != 0 {
		work = short(1000*a.Work) + " ms"
	}
	beside := fmt.Sprintf("%d answers of %.1f kB, slowest %s ms", len(a.Millis), float64(a.Bytes)/1000/float64(len(a.Millis)), short(percentile(a.Millis, 100)))
	if a.Refused > 0 {
		beside += fmt.Sprintf(", %d refused", a.Refused)
	}
	return line{
		figure: a.Caller + ": " + a.What, ours: short(percentile(a.Millis, 50)) + " and " + short(p99), beside: beside,
		ratio: work, target: target, verdict: judged,
	}
}

func slowest(all []*questions.Answers) (most float64) {
	for _, a := range all {
		most = max(most, percentile(a.Millis, 100))
	}
	return most
}

// questioners makes API keys of an operator and of some owners.
func questioners(ctx context.Context, c *cache.Cache) ([]questions.Caller, error) {
	keys, err := apikeys.Open(c.DB(), apikeys.Options{Pepper: []byte(pepper), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	operator, owners := questions.Caller{Name: "operator"}, questions.Caller{Name: "owner"}
	token, _, err := keys.Create(ctx, apikeys.Key{Name: "operator", Scope: apikeys.ScopeReadAll})
	if err != nil {
		return nil, err
	}
	operator.Tokens = []string{token}
	for i := range askingOwners {
		if token, _, err = keys.Create(ctx, apikeys.Key{Name: "owner", Owner: questions.Owner(i), Scope: apikeys.ScopeRead}); err != nil {
			return nil, err
		}
		owners.Tokens = append(owners.Tokens, token)
	}
	return []questions.Caller{operator, owners}, nil
}

// redisURL starts a Redis, or with -cluster a cluster.
func (b *bench) redisURL(ctx context.Context, ps *peers) (string, error) {
	if b.cluster {
		return ps.cluster(ctx)
	}
	server, err := ps.redis(ctx)
	if err != nil {
		return "", err
	}
	return "redis://" + server.addr, nil
}

func (b *bench) say(format string, values ...any) {
	_, _ = fmt.Fprintf(b.progress, format+"\n", values...)
}
