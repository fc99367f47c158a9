package questions

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"statuscache/cache"
)

const (
	seeders   = 4
	seedBatch = 256 // executions in one call: on a cluster it is divided among 64 partitions
)

// Seed stores the Records in a cache. It calls report from time to time with the number that is
// stored.
func (p *Population) Seed(ctx context.Context, c *cache.Cache, report func(done int)) error {
	// The running ones come last, so that they are young when the questions begin.
	for _, running := range []bool{false, true} {
		if err := p.seed(ctx, c, running, report); err != nil {
			return fmt.Errorf("fill Redis: %w", err)
		}
	}
	return nil
}

func (p *Population) seed(ctx context.Context, c *cache.Cache, running bool, report func(done int)) error {
	const step = 100_000
	var next atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for range seeders {
		g.Go(func() error {
			for ctx.Err() == nil {
				begin := int(next.Add(seedBatch)) - seedBatch
				if begin >= p.Records {
					return nil
				}
				var batch []cache.Execution
				for i := begin; i < min(begin+seedBatch, p.Records); i++ {
					if runs(i) == running {
						batch = append(batch, p.execution(i))
					}
				}
				if err := apply(ctx, c, batch); err != nil {
					return err
				}
				if !running && begin/step != (begin+seedBatch)/step {
					report(begin + seedBatch)
				}
			}
			return ctx.Err()
		})
	}
	return g.Wait()
}

func apply(ctx context.Context, c *cache.Cache, batch []cache.Execution) error {
	for _, o := range c.Apply(ctx, batch) {
		if o.Err != nil {
			return o.Err
		}
	}
	return nil
}

const (
	feedBatch = 10   // events, as many as a batch of messages has
	underWay  = 2500 // executions that run at any time
)

// Feed applies the given number of events a second until ctx ends: in turn the start of a new
// execution, and the end of one that started some seconds before. It returns how many it has
// applied.
func (p *Population) Feed(ctx context.Context, c *cache.Cache, perSecond int) (events int, err error) {
	began := time.Now().Truncate(time.Millisecond)
	start := func(n int) cache.Execution { // one in two events is a start
		return p.begun(p.Records+n, began.Add(time.Second*time.Duration(2*(n-underWay))/time.Duration(perSecond)))
	}
	var first []cache.Execution
	for n := range underWay {
		first = append(first, start(n))
	}
	for some := range slices.Chunk(first, seedBatch) {
		if err := apply(ctx, c, some); err != nil {
			return 0, fmt.Errorf("events come in: %w", err)
		}
	}
	for ; ; events += feedBatch {
		due := began.Add(time.Second * time.Duration(events) / time.Duration(perSecond)) // what is late is caught up with
		select {
		case <-ctx.Done():
			return events, nil
		case <-time.After(time.Until(due)):
		}
		var batch []cache.Execution
		for n := events / 2; n < (events+feedBatch)/2; n++ {
			batch = append(batch, start(n+underWay), p.ended(p.Records+n, start(n).StartDate, time.Now().Truncate(time.Millisecond)))
		}
		if err := apply(context.WithoutCancel(ctx), c, batch); err != nil {
			return events, fmt.Errorf("events come in: %w", err)
		}
	}
}
