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

// runStages runs all stages until ctx ends or one of them does. Then it stops
// them one after the other, the first one first, within limit together.
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
			deadline = time.After(lastMoment) // for each of the others
		}
	}
	return errors.Join(all...)
}

// lastMoment is what a stage is given to stop when the time of all is up.
const lastMoment = 200 * time.Millisecond
