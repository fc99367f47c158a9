package stats

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"statuscache/cache"
	"statuscache/cache/internal/tally"
)

// maxGroups is the maximum number of groups in an answer. Failures in further groups are
// counted without a cause.
const maxGroups = 1000

// ErrWindow means that failures are not available for the window.
var ErrWindow = fmt.Errorf("the window must be one of %s", "1h, 24h and 7d")

// buckets has the length of the buckets of a trend, by window.
var buckets = map[time.Duration]time.Duration{
	time.Hour: 5 * time.Minute, day: time.Hour, 7 * day: 12 * time.Hour,
}

const day = 24 * time.Hour

// Failures returns the failures of a state machine and its Distributed Maps; an empty ARN
// means all. They are of the last hour, day or 7 days, and up to 5 minutes before. Its error
// is ErrWindow for any other window. Callers share the answer and must not change it.
func (s *Stats) Failures(ctx context.Context, scope Scope, window time.Duration, stateMachine string) (f Failures, err error) {
	if buckets[window] == 0 {
		return f, ErrWindow
	}
	err = s.ask(ctx, scope, func(c *counters) { f = c.lastFailures(window, stateMachine) })
	if err != nil {
		return Failures{}, fmt.Errorf("failures: %w", err)
	}
	return f, nil
}

// sum has the failures of a group in a window.
type sum struct {
	Group         // without its share
	since   int64 // when the window begins, in seconds since 1970
	changes int   // of the group when they were added up
}

// lastFailures is Failures of what was counted. It adds up only the groups that have changed
// since they were last requested for the same window.
func (c *counters) lastFailures(window time.Duration, stateMachine string) Failures {
	f := Failures{Since: c.now.Add(-window).Truncate(tally.SlotLength).UTC(), Until: c.now.UTC(), Bucket: buckets[window]}
	byMachine := map[string][]*sum{}
	c.answering.Lock()
	defer c.answering.Unlock()
	for _, g := range c.causes.groups {
		m := c.machines[g.Machine]
		if m == nil || m.name == "" || !belongs(m.name, stateMachine) {
			continue
		}
		switch s := g.in(window, f.Since, m.name); {
		case s.Count == 0:
		case g.beyond:
			f.Total, f.Other = f.Total+s.Count, f.Other+s.Count
		default:
			f.Total += s.Count
			byMachine[m.name] = append(byMachine[m.name], s)
		}
	}
	f.keep(byMachine)
	return f
}

// in returns the failures of a group in a window that begins at a time.
func (g *group) in(window time.Duration, since time.Time, machine string) *sum {
	s := g.windows[window]
	if s == nil || s.since != since.Unix() || s.changes != g.changes {
		s = g.add(since, buckets[window], int(window/buckets[window]), machine)
		g.windows[window] = s
	}
	return s
}

// add adds up the failures of a group since a time, with a trend of so many buckets.
func (g *group) add(since time.Time, bucket time.Duration, n int, machine string) *sum {
	s := &sum{Group: Group{StateMachine: machine, Error: g.Error, Message: g.Template, Trend: make([]int64, n)}, since: since.Unix(), changes: g.changes}
	var first, last int64
	var examples []example
	for hour, c := range g.hours {
		start := tally.HourStart(hour).Sub(since)
		if start <= -time.Hour {
			continue
		}
		counted := s.addSlots(start, bucket, &c.slots)
		if counted == 0 {
			continue
		}
		if s.Count == 0 || c.first < first {
			first = c.first
		}
		s.Count, last = s.Count+counted, max(last, c.last)
		examples = newest(examples, c.examples)
	}
	s.FirstSeen, s.LastSeen = time.UnixMilli(first).UTC(), time.UnixMilli(last).UTC()
	for _, e := range examples {
		s.Examples = append(s.Examples, string(cache.MachineARN(machine).Execution(e.name)))
	}
	return s
}

// addSlots adds the slots of an hour, which begins at a time of the window, to the trend, as
// far as they are in the window. It returns their sum.
func (s *sum) addSlots(start, bucket time.Duration, slots *[tally.Slots]int64) (sum int64) {
	for i, n := range slots {
		at := start + time.Duration(i)*tally.SlotLength
		if n == 0 || at < 0 {
			continue
		}
		s.Trend[min(int(at/bucket), len(s.Trend)-1)] += n
		sum += n
	}
	return sum
}

// keep adds the groups within the bounds: for each machine the groups with the most failures,
// and of all these the most recent ones. The others count without their cause.
func (f *Failures) keep(byMachine map[string][]*sum) {
	var all []*sum
	for _, groups := range byMachine {
		if len(groups) > tally.MaxGroups {
			slices.SortFunc(groups, func(a, b *sum) int { return cmp.Or(cmp.Compare(b.Count, a.Count), lastSeen(a, b)) })
		}
		all = append(all, f.first(groups, tally.MaxGroups)...)
	}
	slices.SortFunc(all, lastSeen)
	all = f.first(all, maxGroups)
	for _, s := range all {
		g := s.Group
		g.Share = float64(g.Count) / float64(f.Total)
		f.Groups = append(f.Groups, g)
	}
}

// first returns the first groups, and counts the others without their cause.
func (f *Failures) first(groups []*sum, most int) []*sum {
	most = min(most, len(groups))
	for _, g := range groups[most:] {
		f.Other += g.Count
	}
	return groups[:most]
}

// lastSeen orders groups: the most recent first.
func lastSeen(a, b *sum) int {
	return cmp.Or(b.LastSeen.Compare(a.LastSeen), cmp.Compare(b.Count, a.Count), cmp.Compare(a.StateMachine, b.StateMachine), cmp.Compare(a.Error, b.Error), cmp.Compare(a.Message, b.Message))
}
