package stats

import (
	"context"
	"fmt"
	"time"

	"statuscache/cache"
	"statuscache/cache/boundedmap"
	"statuscache/cache/internal/monotonic"
	"statuscache/cache/internal/tally"
	"statuscache/cache/singleflight"
)

const (
	maxOwners   = 256 // whose answers of the last second are remembered
	maxOutlines = 64  // owners whose executions are remembered, up to 1,000 of each
)

// owners counts the executions of an owner, at most once a second.
type owners struct {
	cache    *cache.Cache
	known    boundedmap.ByText[*owned]
	outlines boundedmap.ByText[[]cache.Outline] // of those that asked last
	calls    singleflight.Group[*owned]
}

// owned has the counters of an owner's executions.
type owned struct {
	*counters
	running []running
	at      int64 // by the monotonic clock, when it was begun
}

func newOwners(c *cache.Cache) *owners {
	return &owners{
		cache: c, known: boundedmap.NewByText[*owned](maxOwners),
		outlines: boundedmap.NewByText[[]cache.Outline](maxOutlines),
	}
}

// of counts the executions of an owner.
func (o *owners) of(ctx context.Context, owner string) (*owned, error) {
	if known, ok := o.known.Get(owner); ok && monotonic.Now()-known.at < int64(freshFor) {
		return known, nil
	}
	counted, err := o.calls.Begin(ctx, readLimit, owner, func(ctx context.Context) (*owned, error) {
		begun := monotonic.Now()
		earlier, _ := o.outlines.Get(owner)
		all, err := o.cache.Owned(ctx, owner, earlier)
		if err != nil {
			return nil, err
		}
		o.outlines.Set(owner, all)
		counted := &owned{counters: count(all, time.Now()), at: begun}
		for _, each := range all {
			if each.Status == cache.Running && !each.StartDate.IsZero() {
				counted.running = append(counted.running, running{each.ARN, each.StartDate})
			}
		}
		o.known.Set(owner, counted)
		return counted, nil
	}).Wait(ctx)
	if err != nil {
		return nil, fmt.Errorf("count the executions of an owner: %w", err)
	}
	return counted, nil
}

// count adds up executions as the counters in Redis do.
func count(all []cache.Outline, now time.Time) *counters {
	c := newCounters()
	c.now = now
	for _, o := range all {
		name := o.ARN.StateMachine()
		id := tally.MachineOf(name)
		c.machine(id).name = name
		c.addOutline(id, o)
	}
	c.drop(tally.Hour(now) - tally.KeptHours)
	return c
}

func (c *counters) addOutline(id tally.Machine, o cache.Outline) {
	add := func(value uint16, at time.Time) {
		if hour := tally.Hour(at); hour >= tally.Hour(c.now)-tally.KeptHours {
			c.add(hour, tally.Entry{Machine: id, Value: value, Minute: at.Minute(), Count: 1})
		}
	}
	if !o.StartDate.IsZero() {
		add(tally.Started, o.StartDate)
	}
	switch o.Status {
	case cache.Running:
		c.machine(id).running++
	case cache.Succeeded:
		add(tally.Bucket(o.StopDate.Sub(o.StartDate)), o.StopDate)
	case cache.Failed:
		add(tally.Failed, o.StopDate)
		c.causes.count(o, id)
	}
}
