package app

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// stage is a part of a running service.
type stage struct {
	name string
	run  func(context.Context) error // until its context ends
}

// runStages runs all stages until ctx ends or one of them returns. Then it stops them one
// after the other, in order, within limit in total.
func runStages(ctx context.Context, limit time.Duration, stages []stage) error {
	type running struct {
		stop  context.CancelFunc
		ended chan error
	}
	parts := make([]running, len(stages))
	early := make(chan struct{}, len(stages))
	for i, s := range stages {
		own, stop := context.WithCancel(context.WithoutCancel(ctx))
		defer stop()
		parts[i] = running{stop, make(chan error, 1)}
		go func() {
			parts[i].ended <- s.run(own)
			early <- struct{}{}
		}()
	}
	select {
	case <-ctx.Done():
	case <-early:
	}
	deadline := time.After(limit)
	var all []error
	for i, s := range stages {
		parts[i].stop()
		select {
		case err := <-parts[i].ended:
			all = append(all, err)
		case <-deadline:
			all = append(all, fmt.Errorf("%s did not stop within %v", s.name, limit))
			deadline = time.After(lastMoment) // for each of the other stages
		}
	}
	return errors.Join(all...)
}

// lastMoment is how long a stage may take to stop when the time limit has passed.
const lastMoment = 200 * time.Millisecond

// stages are in the order in which they stop: the load balancer stops sending requests,
// receiving stops, messages in flight are finished, requests end, and then the parts that all
// of these need stop.
func (s *service) stages() []stage {
	all := []stage{{"the drain delay", s.drain}}
	if s.program.Background != nil {
		all = append(all, stage{"the background task", func(ctx context.Context) error { return s.program.Background(ctx, s.cache, s.keys) }})
	}
	if s.consumer != nil {
		all = append(all, stage{"ingest", s.consumer.Run}, stage{"hydration", s.hydrator.Run}, stage{"expired outputs", s.refetch.Run}, stage{"the retention of outputs", s.outputs.Run}, stage{"the audit", s.auditor.Run})
	}
	if s.public != nil {
		all = append(all, stage{"counts", s.lists.Run})
	}
	all = append(all,
		stage{"the API", s.serve},
		stage{"signing keys", s.server.Run},
		stage{"garbage collection", tuneGC},
		stage{"the census", s.census.run},
		stage{"settings", s.settings.Run},
		stage{"changes", s.changes.Run},
		stage{"statistics", s.stats.Run},
		stage{"API keys", s.keys.Run},
		stage{"the worklist", s.worklist.Run},
		stage{"sweeps", s.sweeps.Run},
		stage{"the reports about the queue", s.intake.Run},
		stage{"the loss detector", s.losses.Run},
		stage{"the cache", s.cache.Run},
	)
	if s.traces != nil {
		all = append(all, stage{"traces", s.traces.Run}) // last, because all other stages create spans
	}
	return all
}

// drain waits until load balancers have noticed that the process is not ready.
func (s *service) drain(ctx context.Context) error {
	<-ctx.Done()
	s.log.Info("stopping")
	s.server.Drain()
	if s.consumer != nil {
		s.consumer.Drain()
	}
	time.Sleep(min(s.program.BalancerDelay, s.config.ShutdownTimeout/4))
	return nil
}

func (s *service) serve(ctx context.Context) error {
	return s.server.Serve(ctx, s.public, s.admin, s.config.ShutdownTimeout)
}
