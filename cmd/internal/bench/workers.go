package main

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"statuscache/cache"
	"statuscache/ingest/event"
)

// How a consumer works: messages come in batches, of which several are in flight.
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

// work processes a batch and returns how many messages it has handled.
type work func(ctx context.Context, batch []message) (int, error)

// runIngest decodes messages and has the cache merge them, as the consumer does.
// It subscribes to the changes too, as every process with a cache does.
func runIngest(ctx context.Context) error {
	c, err := cache.Open(cache.Options{
		URL: "redis://" + os.Getenv(envRedis), Prefix: benchPrefix, Retention: retention,
		ReplicaAcks: cache.AutoAcks, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	if err := c.DB().Check(ctx); err != nil {
		return err
	}
	go func() { _ = c.Run(ctx) }() // until the process is killed
	decoder := event.Decoder{Owner: event.OwnerPath{"tenantId"}}
	return obey(ctx, func(ctx context.Context, batch []message) (int, error) {
		executions, err := decodeAll(&decoder, batch)
		if err != nil {
			return 0, err
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

// obey reads which batches to make, and reports when they are ready. It then does the work each
// time it is asked to, and answers with the number of messages.
func obey(ctx context.Context, do work) error {
	fmt.Println(readyWord)
	var batches [][]message
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var o order
		if n, _ := fmt.Sscan(in.Text(), &o.batches, &o.size, &o.copies); n == 3 {
			batches = makeBatches(o)
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

// order is what to make: batches of events, whose ends have size bytes, each
// under a number of names.
type order struct{ batches, size, copies int }

func (o order) String() string { return fmt.Sprint(o.batches, " ", o.size, " ", o.copies) }

// makeBatches returns the events of executions that are not known yet.
func makeBatches(o order) [][]message {
	const owners = 100
	var batches [][]message
	for block := 0; block*2*inOneBlock < o.batches; block++ {
		var starts, ends []message
		for i := range inOneBlock * batchSize {
			h := newHappening("customer-" + strconv.Itoa(i%owners))
			starts = append(starts, message{h.name + "-1", h.running()})
			ends = append(ends, message{h.name + "-2", h.succeeded(o.size)})
		}
		for copied := range o.copies {
			for batch := range slices.Chunk(slices.Concat(starts, ends), batchSize) {
				for i := range batch {
					batch[i].key += "-" + strconv.Itoa(copied)
				}
				batches = append(batches, batch)
			}
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
