package stats

import (
	"slices"
	"time"

	"statuscache/cache"
	"statuscache/cache/internal/redisdb"
	"statuscache/cache/internal/tally"
)

// causes has the failures of all kept hours, by cause. Redis has them by partition and hour;
// they are added up over the partitions when they are read, and only where they have changed.
type causes struct {
	parts  map[part]cells    // as they were read
	groups map[string]*group // by the identifier of the cause
}

// group has the failures of one cause, or, with beyond, those of a state machine that have no
// group.
type group struct {
	*tally.Cause
	beyond  bool
	hours   map[int64]*cell
	changes int                    // of hours
	windows map[time.Duration]*sum // those that were requested
}

// cells are the failures in an hour, by the identifier of the cause.
type cells map[string]*cell

// cell is the failures of one cause in an hour. It does not change.
type cell struct {
	*tally.Cause
	beyond      bool // as that of its group
	slots       [tally.Slots]int64
	first, last int64 // ms
	examples    []example
}

// beyondGroups begins the identifier of failures without a group. The state machine follows, so
// that it is not as long as that of a cause.
const beyondGroups = "o"

func newCauses() causes {
	return causes{parts: map[part]cells{}, groups: map[string]*group{}}
}

// readCells reads the failures of an hour as Redis has them.
func readCells(fields map[string]string) cells {
	all := cells{}
	for field, value := range fields {
		if c, ok := readCell(value); ok && field[0] == 'g' {
			c.examples = readExamples(fields["e"+field[1:]])
			for slot := range c.slots {
				c.slots[slot] = number(fields["n"+field[1:]+string(rune('A'+slot))])
			}
			all[field[1:]] = c
		}
		if slot, ok := slotOf(field, tally.MachineLength); ok && field[0] == 'o' {
			all.beyond(tally.Machine([]byte(field[1 : 1+tally.MachineLength]))).slots[slot] = number(value)
		}
	}
	return all
}

// beyond returns the failures of a state machine that have no group.
func (all cells) beyond(m tally.Machine) *cell {
	id := beyondGroups + string(m[:])
	if all[id] == nil {
		all[id] = &cell{Cause: &tally.Cause{Machine: m}, beyond: true}
	}
	return all[id]
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
	c.Cause = &tally.Cause{Machine: tally.Machine([]byte(value[:seen])), Error: value[errorAt : errorAt+length], Template: value[errorAt+length:]}
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

// plus returns the sum of two cells of the same cause and hour; c may be nil.
func (c *cell) plus(o *cell) *cell {
	if c == nil {
		return o
	}
	sum := *c
	sum.first, sum.last, sum.examples = min(c.first, o.first), max(c.last, o.last), newest(c.examples, o.examples)
	for i, n := range o.slots {
		sum.slots[i] += n
	}
	return &sum
}

// equal reports whether two cells of the same cause have the same failures.
func (c *cell) equal(o *cell) bool {
	return c.slots == o.slots && c.first == o.first && c.last == o.last && slices.Equal(c.examples, o.examples)
}

// take replaces the failures of a partition in an hour.
func (all *causes) take(at part, read cells) {
	before := all.parts[at]
	all.parts[at] = read
	for id, c := range read {
		g := all.group(id, c)
		c.Cause = g.Cause // the text in which it was read is not kept
		switch was := before[id]; {
		case was == nil:
			g.set(at.hour, g.hours[at.hour].plus(c))
		case !was.equal(c):
			g.set(at.hour, all.sum(id, at.hour))
		}
	}
	for id := range before {
		if read[id] == nil {
			all.groups[id].set(at.hour, all.sum(id, at.hour))
			all.dropEmpty(id)
		}
	}
}

// forget drops the failures of a partition in an hour.
func (all *causes) forget(at part) {
	all.take(at, nil)
	delete(all.parts, at)
}

// drop forgets the hours before oldest.
func (all *causes) drop(oldest int64) {
	for at := range all.parts {
		if at.hour < oldest {
			delete(all.parts, at)
		}
	}
	for id, g := range all.groups {
		for hour := range g.hours {
			if hour < oldest {
				g.set(hour, nil)
			}
		}
		all.dropEmpty(id)
	}
}

func (all *causes) dropEmpty(id string) {
	if len(all.groups[id].hours) == 0 {
		delete(all.groups, id)
	}
}

// group returns the group with an identifier, to which a cell belongs.
func (all *causes) group(id string, c *cell) *group {
	g := all.groups[id]
	if g == nil {
		g = &group{Cause: c.Cause, beyond: c.beyond, hours: map[int64]*cell{}, windows: map[time.Duration]*sum{}}
		all.groups[id] = g
	}
	return g
}

// sum adds up the failures of a cause in an hour over the partitions.
func (all *causes) sum(id string, hour int64) (sum *cell) {
	for partition := range redisdb.PartitionCount {
		if c := all.parts[part{partition, hour}][id]; c != nil {
			sum = sum.plus(c)
		}
	}
	return sum
}

// set replaces the failures in an hour; nil: there are none.
func (g *group) set(hour int64, c *cell) {
	g.changes++
	if c == nil {
		delete(g.hours, hour)
	} else {
		g.hours[hour] = c
	}
}

// count counts a failure as the counters in Redis do.
func (all *causes) count(o cache.Outline, m tally.Machine) {
	cause, at := tally.CauseOf(m, o.Error, o.ErrorMessage), o.StopDate.UnixMilli()
	one := &cell{Cause: &cause, first: at, last: at, examples: []example{{at, o.ARN.Name()}}}
	one.slots[at%time.Hour.Milliseconds()/tally.SlotLength.Milliseconds()] = 1
	hour := tally.Hour(o.StopDate)
	g := all.group(cause.Group(), one)
	g.set(hour, g.hours[hour].plus(one))
}
