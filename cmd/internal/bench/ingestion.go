package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ingestion compares applying events with writing them unchanged.
func (b *bench) ingestion(ctx context.Context) ([]line, error) {
	var lines []line
	for _, each := range []struct {
		figure  string
		size    int // of the event of an end, bytes
		batches int
		target  target
	}{
		{"1.3 kB", 1300, 2000, atLeast(0.25)},
		{"6 kB", 6 << 10, 1200, atLeast(0.25)},
	} {
		if b.quick {
			each.batches /= 5
		}
		c, err := b.ingestSize(ctx, each.size, each.batches)
		if err != nil {
			return nil, err
		}
		mean := (len(newHappening("customer-1").running()) + each.size) / 2
		figure := fmt.Sprintf("ingest of ends of %s, all of %.1f kB on average, per event", each.figure, float64(mean)/1000)
		lines = append(lines, compare(figure, c, decodeAndApply, pipelinedSet, each.target))
	}
	return lines, nil
}

// Names of the contenders.
const (
	decodeAndApply = "decode + Apply"
	pipelinedSet   = "pipelined SET"
)

func (b *bench) ingestSize(ctx context.Context, size, batches int) (costs, error) {
	ps := &peers{dir: b.dir}
	defer ps.stopAll()
	redis, err := ps.redis(ctx)
	if err != nil {
		return nil, err
	}
	var all []contender
	for _, each := range []struct {
		name, child string
		copies      int // of each event, so that cheap work takes long enough to be measured
	}{{decodeAndApply, "ingest", 1}, {pipelinedSet, "set", 5}} {
		worker, err := ps.self(each.child, envRedis+"="+redis.addr)
		if err != nil {
			return nil, err
		}
		all = append(all, contender{
			name: each.name, peers: []*peer{worker, redis},
			prepare: func(ctx context.Context) error {
				return prepareWorker(ctx, worker, redis, order{batches, size, each.copies})
			},
			work: func(context.Context) (int, error) { return worker.work() },
		})
	}
	return interleave(ctx, b.rounds, all)
}

// prepareWorker empties Redis and lets a worker make its events.
func prepareWorker(ctx context.Context, worker, server *peer, o order) error {
	client := redis.NewClient(&redis.Options{Addr: server.addr})
	defer func() { _ = client.Close() }()
	if err := client.FlushAll(ctx).Err(); err != nil {
		return err
	}
	answer, err := worker.tell(o.String())
	if err == nil && answer != readyWord {
		err = fmt.Errorf("a worker answers %q", answer)
	}
	return err
}

func (p *peer) work() (int, error) {
	answer, err := p.tell("go")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(answer)
}

// tell gives a worker an order and returns its answer.
func (p *peer) tell(order string) (string, error) {
	if _, err := fmt.Fprintln(p.stdin, order); err != nil {
		return "", p.failed("ended")
	}
	line, err := p.lines.ReadString('\n')
	if err != nil {
		return "", p.failed("ended")
	}
	return strings.TrimSpace(line), nil
}
