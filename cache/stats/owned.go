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

// maxOwners is for how many owners the answers of the last second are remembered.
const maxOwners = 256

// owners counts the executions of an owner, at most once a second.
type owners struct {
	cache *cache.Cache
	known boundedmap.ByText[*owned]
	calls singleflight.Group[*owned]
}

// owned has the counters of an owner's executions.
type owned struct {
	*counters
	running []running
	at      int64 // by the monotonic clock, when it was begun
}

func newOwners(c *cache.Cache) *owners {
	return &owners{cache: c, known: boundedmap.NewByText[*owned](maxOwners)}
}

// of counts the executions of an owner.
func (o *owners) of(ctx context.Context, owner string) (*owned, error) {
	if known, ok := o.known.Get(owner); ok && monotonic.Now()-known.at < int64(freshFor) {
		return known, nil
	}
	counted, err := o.calls.Begin(ctx, readLimit, owner, func(ctx context.Context) (*owned, error) {
		begun := monotonic.Now()
		all, err := o.cache.Owned(ctx, owner)
		if err != nil {
			return nil, err
		}
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
