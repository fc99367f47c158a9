package stats

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"statuscache/cache/internal/tally"
)

// counters has the counters that were read from Redis, added up over the partitions.
type counters struct {
	now         time.Time // by the clock of Redis
	machines    map[tally.Machine]*machine
	minutes     map[int64]*Minute // by the minute since 1970, the latest two hours
	causes      causes
	tallies     map[part]progress
	failureSeen map[part]int64 // changes of its failures when they were read
	dropped     int64          // the hours before it are forgotten

	// answering is locked while an answer is made: what was added up for it is remembered until
	// it has changed.
	answering sync.Mutex
}

// machine has the counters of a state machine.
type machine struct {
	name      string // ARN; empty: not known yet
	running   int64
	durations sketch // of all hours
	hours     map[int64]*hour
	order     []int64           // the hours, the oldest first; nil: not known
	changed   bool              // since Typical was updated
	answer    *MachineDurations // of durations and hours, when they were last requested; nil: they have changed
}

// hour has the counters of a state machine for one hour.
type hour struct {
	durations         sketch
	answer            Duration // of durations, when that was last asked for
	succeeded, failed int64
}

func newCounters() *counters {
	return &counters{
		machines: map[tally.Machine]*machine{}, minutes: map[int64]*Minute{}, causes: newCauses(),
		tallies: map[part]progress{}, failureSeen: map[part]int64{},
	}
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

// changed returns the parts that must be read.
func (c *counters) changed(x *index) (wanted read) {
	for i := range x.partitions {
		for hour, changes := range x.partitions[i].tallies {
			at := part{i, hour}
			if known := c.tallies[at]; known.changes != changes {
				wanted.tallies = append(wanted.tallies, &tallyRead{part: at, changes: changes, known: known})
			}
		}
		for hour, changes := range x.partitions[i].failures {
			at := part{i, hour}
			if known, ok := c.failureSeen[at]; !ok || known != changes {
				wanted.failures = append(wanted.failures, &failuresRead{part: at, changes: changes})
			}
		}
	}
	return wanted
}

// takeParts adds a part of what was read.
func (c *counters) takeParts(read read) {
	for _, r := range read.tallies {
		c.takeTally(r)
	}
	for _, r := range read.failures {
		c.causes.take(r.part, r.cells)
		c.failureSeen[r.part] = r.changes
	}
}

// take ends a refresh, after everything that has changed was read.
func (c *counters) take(x *index) {
	c.now = x.now
	c.forgetLost(x)
	c.takeRunning(x)
	for id, name := range x.names {
		c.machine(id).name = name
	}
}

// takeTally adds the entries that were read from a tally. If they do not match what was
// read before, it forgets the hour, so that the next refresh reads it again.
func (c *counters) takeTally(r *tallyRead) {
	generation, folded, ok := tally.ReadHeader(r.header)
	if !ok || r.known != c.tallies[r.part] {
		return // it has expired, or its hour was forgotten in the meantime
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

// forgetLost drops counters that Redis no longer has.
func (c *counters) forgetLost(x *index) {
	for p := range c.tallies {
		if _, there := x.partitions[p.partition].tallies[p.hour]; !there {
			c.forget(p.hour)
		}
	}
	for p := range c.failureSeen {
		if _, there := x.partitions[p.partition].failures[p.hour]; !there {
			delete(c.failureSeen, p)
			c.causes.forget(p)
		}
	}
}

// takeRunning sets the numbers of running executions.
func (c *counters) takeRunning(x *index) {
	for _, m := range c.machines {
		m.running = 0
	}
	for i := range x.partitions {
		for id, n := range x.partitions[i].running {
			c.machine(id).running += n
		}
	}
}

func (c *counters) machine(id tally.Machine) *machine {
	m := c.machines[id]
	if m == nil {
		m = &machine{hours: map[int64]*hour{}}
		c.machines[id] = m
	}
	return m
}

// add counts an entry.
func (c *counters) add(at int64, e tally.Entry) {
	m := c.machine(e.Machine)
	h := m.hours[at]
	if h == nil {
		h = &hour{}
		m.hours[at], m.order = h, nil
	}
	n := int64(e.Count)
	minute := c.minute(at, e.Minute)
	switch {
	case e.Value == tally.Started:
		minute.Started += n
	case e.Value == tally.Failed:
		h.failed += n
		minute.Failed += n
	case e.Value < tally.Buckets:
		h.succeeded += n
		minute.Succeeded += n
		h.durations.add(int(e.Value), n)
		m.durations.add(int(e.Value), n)
		m.change()
	}
}

// minute returns the counters of a minute.
func (c *counters) minute(hour int64, minute int) *Minute {
	at := hour*60 + int64(minute)
	m := c.minutes[at]
	if m == nil {
		m = &Minute{Start: time.Unix(at*60, 0).UTC()}
		if minute >= 0 {
			c.minutes[at] = m
		}
	}
	return m
}

// forget drops the counters of an hour, to read them again.
func (c *counters) forget(at int64) {
	for _, m := range c.machines {
		if h := m.hours[at]; h != nil {
			m.durations.merge(&h.durations, -1)
			m.change()
			delete(m.hours, at)
			m.order = nil
		}
	}
	maps.DeleteFunc(c.tallies, func(p part, _ progress) bool { return p.hour == at })
	maps.DeleteFunc(c.minutes, func(minute int64, _ *Minute) bool { return minute/60 == at })
}

// drop forgets the hours before oldest.
func (c *counters) drop(oldest int64) {
	maps.DeleteFunc(c.minutes, func(minute int64, _ *Minute) bool { return minute < c.now.Unix()/60-minutesKept })
	if oldest <= c.dropped {
		return
	}
	c.dropped = oldest
	old := map[int64]struct{}{}
	for p := range c.tallies {
		if p.hour < oldest {
			old[p.hour] = struct{}{}
		}
	}
	for at := range old {
		c.forget(at)
	}
	maps.DeleteFunc(c.failureSeen, func(p part, _ int64) bool { return p.hour < oldest })
	c.causes.drop(oldest)
}

// allDurations returns the durations of a state machine and its Distributed Maps, or, with
// an empty ARN, of all.
func (c *counters) allDurations(stateMachine string) (all []MachineDurations) {
	c.answering.Lock()
	defer c.answering.Unlock()
	for _, m := range c.named() {
		if m.durations.total > 0 && belongs(m.name, stateMachine) {
			all = append(all, m.machineDurations())
		}
	}
	return all
}

// change notes that the durations have changed.
func (m *machine) change() { m.changed, m.answer = true, nil }

// machineDurations returns the durations of a state machine whose name is known.
func (m *machine) machineDurations() MachineDurations {
	if m.order == nil {
		m.order = slices.Sorted(maps.Keys(m.hours))
	}
	if m.answer == nil {
		d := MachineDurations{StateMachine: m.name, All: m.durations.duration(), Hours: make([]HourDurations, 0, len(m.hours))}
		for _, at := range m.order {
			if h := m.hours[at]; h.durations.total > 0 {
				d.Hours = append(d.Hours, HourDurations{tally.HourStart(at), h.duration()})
			}
		}
		m.answer = &d
	}
	return *m.answer
}

// duration returns the distribution of the durations in the hour.
func (h *hour) duration() Duration {
	if h.answer.Count != h.durations.total {
		h.answer = h.durations.duration()
	}
	return h.answer
}
