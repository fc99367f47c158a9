package stats

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
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

// cell is the failures of one cause in an hour.
type cell struct {
	tally.Cause
	slots       [tally.Slots]int64
	first, last int64 // ms
	examples    []example
}

// cells are the failures in an hour, by machine and group, and those beyond the groups, by
// machine.
type cells struct {
	groups map[tally.Machine]map[string]*cell
	others map[tally.Machine]*[tally.Slots]int64
}

func newCells() *cells {
	return &cells{map[tally.Machine]map[string]*cell{}, map[tally.Machine]*[tally.Slots]int64{}}
}

// readCells reads the failures of an hour as Redis has them.
func readCells(fields map[string]string) *cells {
	all := newCells()
	for field, value := range fields {
		if c, ok := readCell(value); ok && field[0] == 'g' {
			c.examples = readExamples(fields["e"+field[1:]])
			for slot := range c.slots {
				c.slots[slot] = number(fields["n"+field[1:]+string(rune('A'+slot))])
			}
			all.merge(field[1:], c)
		}
		if slot, ok := slotOf(field, tally.MachineLength); ok && field[0] == 'o' {
			all.other(tally.Machine([]byte(field[1 : 1+tally.MachineLength])))[slot] += number(value)
		}
	}
	return all
}

func readCell(value string) (*cell, bool) {
	const seen = tally.MachineLength
	const errorAt = seen + 2*tally.MillisDigits + tally.ErrorDigits
	if len(value) < errorAt {
		return nil, false
	}
	length := int(number(value[errorAt-tally.ErrorDigits : errorAt]))
	if length < 0 || errorAt+length > len(value) {
		return nil, false
	}
	c := &cell{first: number(value[seen : seen+tally.MillisDigits]), last: number(value[seen+tally.MillisDigits : errorAt-tally.ErrorDigits])}
	c.Cause = tally.Cause{Machine: tally.Machine([]byte(value[:seen])), Error: value[errorAt : errorAt+length], Template: value[errorAt+length:]}
	return c, true
}

// slotOf returns the slot in the name of a field, after a prefix of the given length.
func slotOf(field string, behind int) (slot int, ok bool) {
	if len(field) != behind+2 {
		return 0, false
	}
	slot = int(field[behind+1]) - 'A'
	return slot, slot >= 0 && slot < tally.Slots
}

// number reads a decimal number; other texts are 0.
func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func (c *cells) other(m tally.Machine) *[tally.Slots]int64 {
	if c.others[m] == nil {
		c.others[m] = new([tally.Slots]int64)
	}
	return c.others[m]
}

// add adds the failures of another part.
func (c *cells) add(o *cells) {
	for _, groups := range o.groups {
		for group, more := range groups {
			c.merge(group, more)
		}
	}
	for m, slots := range o.others {
		sum := c.other(m)
		for i, n := range slots {
			sum[i] += n
		}
	}
}

func (c *cells) merge(group string, more *cell) {
	groups := c.groups[more.Machine]
	if groups == nil {
		groups = map[string]*cell{}
		c.groups[more.Machine] = groups
	}
	sum := groups[group]
	if sum == nil {
		whole := *more
		groups[group] = &whole
		return
	}
	for i, n := range more.slots {
		sum.slots[i] += n
	}
	sum.first, sum.last = min(sum.first, more.first), max(sum.last, more.last)
	sum.examples = newest(sum.examples, more.examples)
}

// fail counts a failure as the counters in Redis do.
func (c *cells) fail(o cache.Outline, m tally.Machine) {
	cause, at := tally.CauseOf(m, o.Error, o.ErrorMessage), o.StopDate.UnixMilli()
	one := &cell{Cause: cause, first: at, last: at, examples: []example{{at, o.ARN.Name()}}}
	one.slots[at%time.Hour.Milliseconds()/tally.SlotLength.Milliseconds()] = 1
	c.merge(cause.Group(), one)
}

// failures has the failures of an hour: those of each partition, and, when it is first
// requested, their sum.
type failures struct {
	parts map[int]*cells
	sum   *cells
}

func (f *failures) all() *cells {
	if f.sum == nil {
		f.sum = newCells()
		for _, part := range f.parts {
			f.sum.add(part)
		}
	}
	return f.sum
}

// Failures returns the failures of a state machine and its Distributed Maps, or with an
// empty ARN of all, in the last hour, day or 7 days, and up to 5 minutes before. Its error is
// ErrWindow for any other window. Callers share the answer and must not change it.
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

// lastFailures is Failures of what was counted.
func (c *counters) lastFailures(window time.Duration, stateMachine string) Failures {
	if !c.knows(stateMachine) {
		return c.newSums(window, buckets[window], stateMachine).answer()
	}
	return remembered(&c.memo, "failures "+window.String()+stateMachine, func() Failures {
		return c.failuresIn(window, buckets[window], stateMachine)
	})
}

func (c *counters) failuresIn(window, bucket time.Duration, stateMachine string) Failures {
	sums := c.newSums(window, bucket, stateMachine)
	// The newest first, so that older failures do not replace their examples.
	for _, at := range slices.Backward(slices.Sorted(maps.Keys(c.failures))) {
		if tally.HourStart(at + 1).After(sums.Since) {
			sums.addHour(tally.HourStart(at), c.failures[at].all())
		}
	}
	return sums.answer()
}

func (c *counters) newSums(window, bucket time.Duration, stateMachine string) *sums {
	return &sums{
		counters: c, wanted: stateMachine, groups: map[string]*Group{},
		Failures: Failures{Since: c.now.Add(-window).Truncate(tally.SlotLength).UTC(), Until: c.now.UTC(), Bucket: bucket},
		buckets:  int(window / bucket), last: map[string][]example{},
	}
}

// sums adds up the failures of hours.
type sums struct {
	Failures
	counters *counters
	wanted   string // ARN of a state machine, or empty
	buckets  int
	groups   map[string]*Group
	last     map[string][]example // of a group
}

func (s *sums) addHour(start time.Time, all *cells) {
	for m, groups := range all.groups {
		if name, ok := s.machine(m); ok {
			for id, c := range groups {
				s.addCell(start, name, id, c)
			}
		}
	}
	for m, slots := range all.others {
		if _, ok := s.machine(m); ok {
			s.Other += s.addSlots(start, slots, make([]int64, s.buckets))
		}
	}
}

// addCell adds the failures of a group in an hour.
func (s *sums) addCell(start time.Time, machine, id string, c *cell) {
	g := s.groups[id]
	if g == nil {
		g = &Group{StateMachine: machine, Error: c.Error, Message: c.Template, Trend: make([]int64, s.buckets)}
		g.FirstSeen, g.LastSeen = time.UnixMilli(c.first).UTC(), time.UnixMilli(c.last).UTC()
	}
	counted := s.addSlots(start, &c.slots, g.Trend)
	if counted == 0 {
		return
	}
	s.groups[id] = g
	g.Count += counted
	g.FirstSeen, g.LastSeen = earlier(g.FirstSeen, time.UnixMilli(c.first).UTC()), later(g.LastSeen, time.UnixMilli(c.last).UTC())
	s.last[id] = newest(s.last[id], c.examples)
}

// machine returns the ARN of a state machine if its failures were requested.
func (s *sums) machine(id tally.Machine) (name string, ok bool) {
	m := s.counters.machines[id]
	if m == nil || m.name == "" {
		return "", false
	}
	return m.name, belongs(m.name, s.wanted)
}

// addSlots adds the slots of an hour to a trend, as far as they are in the time, and returns
// their sum.
func (s *sums) addSlots(start time.Time, slots *[tally.Slots]int64, trend []int64) (sum int64) {
	for i, n := range slots {
		at := start.Add(time.Duration(i) * tally.SlotLength)
		if n == 0 || at.Before(s.Since) {
			continue
		}
		trend[min(int(at.Sub(s.Since)/s.Bucket), s.buckets-1)] += n
		sum += n
	}
	return sum
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// answer returns the groups within the bounds: for each machine the groups with the most
// failures, and of all these the most recent ones.
func (s *sums) answer() Failures {
	byMachine := map[string][]Group{}
	s.Total = s.Other
	for id, g := range s.groups {
		for _, e := range s.last[id] {
			g.Examples = append(g.Examples, string(cache.MachineARN(g.StateMachine).Execution(e.name)))
		}
		byMachine[g.StateMachine] = append(byMachine[g.StateMachine], *g)
		s.Total += g.Count
	}
	for _, groups := range byMachine {
		slices.SortFunc(groups, func(a, b Group) int { return cmp.Or(cmp.Compare(b.Count, a.Count), lastSeen(a, b)) })
		s.Groups = append(s.Groups, s.keep(groups, tally.MaxGroups)...)
	}
	slices.SortFunc(s.Groups, lastSeen)
	s.Groups = s.keep(s.Groups, maxGroups)
	for i := range s.Groups {
		s.Groups[i].Share = float64(s.Groups[i].Count) / float64(s.Total)
	}
	return s.Failures
}

// keep returns the first groups, and counts the others without their cause.
func (s *sums) keep(groups []Group, most int) []Group {
	most = min(most, len(groups))
	for _, g := range groups[most:] {
		s.Other += g.Count
	}
	return groups[:most]
}

// lastSeen orders groups: the most recent first.
func lastSeen(a, b Group) int {
	return cmp.Or(b.LastSeen.Compare(a.LastSeen), cmp.Compare(b.Count, a.Count), cmp.Compare(a.StateMachine, b.StateMachine), cmp.Compare(a.Error, b.Error), cmp.Compare(a.Message, b.Message))
}
