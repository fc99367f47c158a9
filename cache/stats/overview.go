package stats

import (
	"context"
	"fmt"
	"time"

	"statuscache/cache/internal/tally"
)

const (
	minutesShown = 60
	minutesKept  = 2 * minutesShown
	hoursShown   = 24
)

// Minutes returns the counters of the last 60 minutes, the oldest first. The last one is
// the current minute.
func (s *Stats) Minutes(ctx context.Context, scope Scope) ([]Minute, error) {
	var all []Minute
	if err := s.ask(ctx, scope, func(c *counters) { all = c.lastMinutes() }); err != nil {
		return nil, fmt.Errorf("minutes: %w", err)
	}
	return all, nil
}

func (c *counters) lastMinutes() []Minute {
	all := make([]Minute, 0, minutesShown)
	last := c.now.Unix() / 60
	for at := last - minutesShown + 1; at <= last; at++ {
		m := Minute{Start: time.Unix(at*60, 0).UTC()}
		if counted := c.minutes[at]; counted != nil {
			m = *counted
		}
		all = append(all, m)
	}
	return all
}

// Machines returns how many executions of each state machine run, and how many ended in the
// last 24 hours, ordered by ARN. State machines without counters are left out.
func (s *Stats) Machines(ctx context.Context, scope Scope) ([]Machine, error) {
	var all []Machine
	if err := s.ask(ctx, scope, func(c *counters) { all = c.lastDay() }); err != nil {
		return nil, fmt.Errorf("state machines: %w", err)
	}
	return all, nil
}

func (c *counters) lastDay() (all []Machine) {
	since := tally.Hour(c.now) - hoursShown
	for _, m := range c.named() {
		one := Machine{StateMachine: m.name, Running: max(0, m.running)}
		for at, h := range m.hours {
			if at >= since {
				one.Succeeded += h.succeeded
				one.Failed += h.failed
			}
		}
		if len(m.hours) > 0 || one.Running > 0 {
			all = append(all, one)
		}
	}
	return all
}
