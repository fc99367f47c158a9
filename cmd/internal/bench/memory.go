package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache"
	"statuscache/ingest/event"
)

// memory measures the memory of an execution in Redis, beyond its payload.
func (b *bench) memory(ctx context.Context) ([]line, error) {
	ps := &peers{dir: b.dir}
	defer ps.stopAll()
	server, err := ps.redis(ctx)
	if err != nil {
		return nil, err
	}
	c, err := openCache(server)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	const smallEvent = 1300
	warm := makeBatches(order{batches: 1, size: smallEvent, copies: 1}) // connections and the script take memory too
	if _, err := applyAll(ctx, c, warm); err != nil {
		return nil, err
	}
	before, err := usedMemory(ctx, server)
	if err != nil {
		return nil, err
	}
	// The indexes of an owner and of a partition are bounded, so what they take is
	// shared by more and more executions.
	rounds := []int{1, 10}
	if b.quick {
		rounds = rounds[:1]
	}
	var lines []line
	var executions []cache.ARN
	done := 0
	for _, upTo := range rounds {
		for ; done < upTo; done++ {
			more, err := applyAll(ctx, c, makeBatches(order{batches: 4000, size: smallEvent, copies: 1}))
			if err != nil {
				return nil, err
			}
			executions = append(executions, more...)
		}
		l, err := memoryLine(ctx, c, server, executions, before)
		if err != nil {
			return nil, err
		}
		lines = append(lines, l)
	}
	return lines, nil
}

func memoryLine(ctx context.Context, c *cache.Cache, server *peer, executions []cache.ARN, before float64) (line, error) {
	after, err := usedMemory(ctx, server)
	if err != nil {
		return line{}, err
	}
	payload, err := meanPayload(ctx, c, executions)
	if err != nil {
		return line{}, err
	}
	each := (after - before) / float64(len(executions))
	limit := 350.0
	if len(executions) < 100_000 { // which share the indexes with few others
		limit = 450
	}
	return line{
		figure: fmt.Sprintf("Redis memory for each of %d executions, index included", len(executions)),
		ours:   fmt.Sprintf("%.0f B", each), beside: fmt.Sprintf("compressed payload: %.0f B", payload),
		ratio:  fmt.Sprintf("+ %.0f B", each-payload),
		target: fmt.Sprintf("+ ≤ %.0f B", limit), verdict: verdict(each-payload <= limit),
	}, nil
}

// applyAll applies events and returns their executions.
func applyAll(ctx context.Context, c *cache.Cache, batches [][]message) ([]cache.ARN, error) {
	decoder := event.Decoder{Owner: event.OwnerPath{"tenantId"}}
	var arns []cache.ARN
	for _, batch := range batches {
		executions, err := decodeAll(&decoder, batch)
		if err != nil {
			return nil, err
		}
		for i, o := range c.Apply(ctx, executions) {
			if o.Err != nil || o.Verdict != cache.Applied {
				return nil, fmt.Errorf("an event was not applied: %+v", o)
			}
			if executions[i].Terminal() {
				arns = append(arns, executions[i].ARN)
			}
		}
	}
	return arns, nil
}

// decodeAll decodes messages as the consumer does, which notes when it has received them.
func decodeAll(d *event.Decoder, batch []message) ([]cache.Execution, error) {
	executions, now := make([]cache.Execution, len(batch)), time.Now()
	for i, m := range batch {
		var err error
		if executions[i], err = d.Decode([]byte(m.body)); err != nil {
			return nil, err
		}
		executions[i].ReceivedAt = now
	}
	return executions, nil
}

// meanPayload returns the mean length of the answers as they are stored.
func meanPayload(ctx context.Context, c *cache.Cache, arns []cache.ARN) (float64, error) {
	const oneIn = 20
	sum, n := 0, 0
	for i := 0; i < len(arns); i += oneIn {
		r, err := c.Get(ctx, arns[i])
		if err != nil {
			return 0, err
		}
		stored := r.Plain
		if r.Gzip != nil {
			stored = r.Gzip
		}
		sum += len(stored.Body)
		n++
	}
	return float64(sum) / float64(n), nil
}

func usedMemory(ctx context.Context, p *peer) (float64, error) {
	client := redis.NewClient(&redis.Options{Addr: p.addr})
	defer func() { _ = client.Close() }()
	info, err := client.Info(ctx, "memory").Result()
	if err != nil {
		return 0, err
	}
	for text := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(text, "used_memory:"); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, errors.New("INFO of Redis has no used_memory")
}
