package stats

import (
	"cmp"
	"slices"

	"statuscache/cache/internal/tally"
)

// counters are what was read of the counters in Redis, added up over the partitions.
type counters struct {
	machines map[tally.Machine]*machine
	tallies  map[part]progress
}

// machine is what was counted of a state machine.
type machine struct {
	name      string // ARN; empty: not known yet
	durations sketch // of all hours
	hours     map[int64]*hour
	changed   bool // since Typical heard of it
}

// hour is what the executions of a state machine did in an hour.
type hour struct {
	durations         sketch
	succeeded, failed int64
}

func newCounters() *counters {
	return &counters{machines: map[tally.Machine]*machine{}, tallies: map[part]progress{}}
}

// named returns the state machines whose ARN is known, ordered by it.
func (c *counters) named() (all []*machine) {
	for _, m := range c.machines {
		if m.name != "" {
			all = append(all, m)
		}
	}
	slices.SortFunc(all, func(a, b *machine) int { return cmp.Compare(a.name, b.name) })
	return all
}

// changed returns what is to be read of the tallies.
func (c *counters) changed(x *index) (wanted []*tallyRead) {
	for partition := range x.partitions {
		x.hours(partition, 't', func(hour, changes int64) {
			at := part{partition, hour}
			if known := c.tallies[at]; known.changes != changes {
				wanted = append(wanted, &tallyRead{part: at, changes: changes, known: known})
			}
		})
	}
	return wanted
}

// take adds what was read.
func (c *counters) take(x *index, read []*tallyRead) {
	for _, r := range read {
		c.takeTally(r)
	}
	for id, name := range x.names {
		c.machine(id).name = name
	}
}

// takeTally adds what was read of a tally. Where that does not fit what is known of it, it
// forgets the hour, which the next refresh reads anew.
func (c *counters) takeTally(r *tallyRead) {
	generation, folded, ok := tally.ReadHeader(r.header)
	if !ok {
		return // it has expired
	}
	length, text := r.known.length, r.text
	switch {
	case length == 0 && len(text) < tally.HeaderLength+folded:
		return
	case length == 0:
		length = int64(len(text))
		tally.EachFolded(text[tally.HeaderLength:tally.HeaderLength+folded], func(e tally.Entry) { c.add(r.hour, e) })
		text = text[tally.HeaderLength+folded:]
	case generation != r.known.generation || text == "":
		c.forget(r.hour)
		return
	default:
		text = text[1:]
		length += int64(len(text))
	}
	tally.EachEntry(text, func(e tally.Entry) { c.add(r.hour, e) })
	c.tallies[r.part] = progress{r.changes, length, generation}
}

func (c *counters) machine(id tally.Machine) *machine {
	m := c.machines[id]
	if m == nil {
		m = &machine{hours: map[int64]*hour{}}
		c.machines[id] = m
	}
	return m
}

// add counts what an entry says.
func (c *counters) add(at int64, e tally.Entry) {
	m := c.machine(e.Machine)
	h := m.hours[at]
	if h == nil {
		h = &hour{}
		m.hours[at] = h
	}
	n := int64(e.Count)
	switch {
	case e.Value == tally.Started:
	case e.Value == tally.Failed:
		h.failed += n
	case e.Value < tally.Buckets:
		h.succeeded += n
		h.durations.add(int(e.Value), n)
		m.durations.add(int(e.Value), n)
		m.changed = true
	}
}

// forget drops what is known of an hour, to read it anew.
func (c *counters) forget(at int64) {
	for _, m := range c.machines {
		if h := m.hours[at]; h != nil {
			m.durations.merge(&h.durations, -1)
			m.changed = true
			delete(m.hours, at)
		}
	}
	for p := range c.tallies {
		if p.hour == at {
			delete(c.tallies, p)
		}
	}
}

// drop forgets the hours before oldest.
func (c *counters) drop(oldest int64) {
	old := map[int64]struct{}{}
	for p := range c.tallies {
		if p.hour < oldest {
			old[p.hour] = struct{}{}
		}
	}
	for at := range old {
		c.forget(at)
	}
}

func (m *machine) machineDurations() MachineDurations {
	d := MachineDurations{StateMachine: m.name, All: m.durations.duration()}
	for at, h := range m.hours {
		if h.durations.total > 0 {
			d.Hours = append(d.Hours, HourDurations{tally.HourStart(at), h.durations.duration()})
		}
	}
	slices.SortFunc(d.Hours, func(a, b HourDurations) int { return a.Start.Compare(b.Start) })
	return d
}
