package main

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"statuscache/cache"
	"statuscache/ingest"
)

// How a consumer works: messages come in batches, of which several are in hand.
const (
	batchSize   = 10
	workers     = 8
	inOneBlock  = 20 // batches of starts before the ends of the same executions
	benchPrefix = "sc"
	retention   = 360 * time.Hour
)

const readyWord = "ready"

// message is one event and a name for it.
type message struct{ key, body string }

// work does something with a batch and returns how many messages it dealt with.
type work func(ctx context.Context, batch []message) (int, error)

// runIngest decodes messages and has the cache merge them, as the consumer does.
// It hears the changes too, as every process with a cache does.
func runIngest(ctx context.Context) error {
	c, err := cache.Open(cache.Options{
		URL: "redis://" + os.Getenv(envRedis), Prefix: benchPrefix, Retention: retention,
		ReplicaAcks: cache.AutoAcks, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	if err := c.Check(ctx); err != nil {
		return err
	}
	go func() { _ = c.Run(ctx) }() // until the process is killed
	decoder := ingest.Decoder{Owner: ingest.OwnerPath{"tenantId"}}
	return obey(ctx, func(ctx context.Context, batch []message) (int, error) {
		executions := make([]cache.Execution, len(batch))
		for i, m := range batch {
			event, err := decoder.Decode([]byte(m.body))
			if err != nil {
				return 0, err
			}
			executions[i] = event.Execution
		}
		applied := 0
		for _, outcome := range c.Apply(ctx, executions) {
			if outcome.Err != nil {
				return 0, outcome.Err
			}
			if outcome.Verdict == cache.Applied {
				applied++
			}
		}
		return applied, nil
	})
}

// runSet writes messages as they are.
func runSet(ctx context.Context) error {
	client := redis.NewClient(&redis.Options{Addr: os.Getenv(envRedis)})
	return obey(ctx, func(ctx context.Context, batch []message) (int, error) {
		pipe := client.Pipeline()
		for _, m := range batch {
			pipe.Set(ctx, m.key, m.body, 0)
		}
		_, err := pipe.Exec(ctx)
		return len(batch), err
	})
}

// obey reads how many batches of which size to make, says when they are there,
// and does the work when it is told to, again and again. It answers with how
// many messages that were.
func obey(ctx context.Context, do work) error {
	fmt.Println(readyWord)
	var batches [][]message
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var count, size int
		if n, _ := fmt.Sscan(in.Text(), &count, &size); n == 2 {
			batches = makeBatches(count, size)
			runtime.GC() // not while it is measured
			fmt.Println(readyWord)
			continue
		}
		done, err := inParallel(ctx, batches, do)
		if err != nil {
			return err
		}
		fmt.Println(done)
	}
	return nil // the parent has gone
}

// makeBatches returns the events of executions that nobody has heard of.
func makeBatches(count, size int) [][]message {
	const owners = 100
	var batches [][]message
	for len(batches) < count {
		blocks := make([]happening, inOneBlock*batchSize)
		for i := range blocks {
			blocks[i] = newHappening("customer-" + strconv.Itoa(i%owners))
		}
		begin := make([]message, len(blocks))
		end := make([]message, len(blocks))
		for i, h := range blocks {
			begin[i] = message{h.name + "-1", h.running()}
			end[i] = message{h.name + "-2", h.succeeded(size)}
		}
		for i := 0; i < len(begin); i += batchSize {
			batches = append(batches, begin[i:i+batchSize])
		}
		for i := 0; i < len(end); i += batchSize {
			batches = append(batches, end[i:i+batchSize])
		}
	}
	return batches
}

func inParallel(ctx context.Context, batches [][]message, do work) (int, error) {
	var next, done atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for range workers {
		g.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(batches) {
					return nil
				}
				n, err := do(ctx, batches[i])
				if err != nil {
					return err
				}
				done.Add(int64(n))
			}
		})
	}
	err := g.Wait()
	return int(done.Load()), err
}
