package main

import (
	"context"
	"fmt"
	"time"
)

// contender takes turns with others at the same work.
type contender struct {
	name  string
	peers []*peer // whose processor time counts
	// prepare prepares the work and is not counted. nil: nothing to do.
	prepare func(context.Context) error
	// work returns how much was done.
	work func(context.Context) (int, error)
}

// underLoad is a contender that answers requests, for as long as d in a round.
func underLoad(name string, l load, d time.Duration, peers ...*peer) contender {
	return contender{name: name, peers: peers, work: func(ctx context.Context) (int, error) { return l.run(ctx, d) }}
}

// costs are microseconds of processor time for each piece of work, by contender
// and round.
type costs map[string][]float64

// interleave gives each contender a turn to warm up and then one in each round.
func interleave(ctx context.Context, rounds int, contenders []contender) (costs, error) {
	all := costs{}
	for round := -1; round < rounds; round++ {
		for _, c := range contenders {
			cost, err := c.turn(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			if round >= 0 {
				all[c.name] = append(all[c.name], cost)
			}
		}
	}
	return all, nil
}

func (c *contender) turn(ctx context.Context) (cost float64, err error) {
	if c.prepare != nil {
		if err := c.prepare(ctx); err != nil {
			return 0, err
		}
	}
	pids := make([]int, len(c.peers))
	for i, p := range c.peers {
		pids[i] = p.pid()
	}
	before, err := processorTime(pids)
	if err != nil {
		return 0, err
	}
	n, err := c.work(ctx)
	if err != nil {
		return 0, err
	}
	after, err := processorTime(pids)
	if err != nil {
		return 0, err
	}
	if n == 0 || after == before {
		return 0, fmt.Errorf("%d pieces of work took %v of processor time: too short to measure", n, after-before)
	}
	return float64((after - before).Microseconds()) / float64(n), nil
}
