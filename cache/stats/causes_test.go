package stats

import (
	"fmt"
	"maps"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"statuscache/cache/internal/tally"
)

// failuresNow is the time of the tests of remembered sums.
var failuresNow = time.Date(2026, 11, 26, 12, 17, 0, 0, time.UTC)

// drawCells draws the failures of an hour in a partition: of two causes of each of two state
// machines, and beyond the groups.
func drawCells(t *rapid.T, at part) cells {
	all := cells{}
	for _, machine := range []string{machineA, machineB} {
		m := tally.MachineOf(machine)
		for _, why := range []string{"no", "never"} {
			if !rapid.Bool().Draw(t, "fails") {
				continue
			}
			cause := tally.Cause{Machine: m, Error: "Boom", Template: why}
			when := tally.HourStart(at.hour).Add(time.Duration(rapid.IntRange(0, 59).Draw(t, "minute")) * time.Minute)
			c := &cell{Cause: &cause, first: when.UnixMilli(), last: when.UnixMilli()}
			c.slots[when.Minute()/5] = rapid.Int64Range(1, 3).Draw(t, "failures")
			if rapid.Bool().Draw(t, "has an example") {
				c.examples = []example{{c.last, fmt.Sprint("e", at.partition, rapid.IntRange(0, 3).Draw(t, "name"))}}
			}
			all[cause.Group()] = c
		}
		if rapid.Bool().Draw(t, "is beyond the groups") {
			all.beyond(m).slots[rapid.IntRange(0, tally.Slots-1).Draw(t, "slot")] = 1
		}
	}
	return all
}

// failureCounters returns counters with two known state machines and the given failures.
func failureCounters(now time.Time, stored map[part]cells) *counters {
	c := newCounters()
	c.now = now
	for _, name := range []string{machineA, machineB} {
		c.machine(tally.MachineOf(name)).name = name
	}
	for at, read := range stored {
		c.causes.take(at, maps.Clone(read))
	}
	return c
}

// TestRememberedSumsAreThoseOfAllFailures: whatever changes, comes late, is lost or becomes too
// old, and whenever it is requested, the failures are the same as if all were added up again.
func TestRememberedSumsAreThoseOfAllFailures(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		stored, now := map[part]cells{}, failuresNow
		c := failureCounters(now, nil)
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			at := part{rapid.IntRange(0, 2).Draw(t, "partition"), tally.Hour(now) - rapid.Int64Range(0, 26).Draw(t, "hours ago")}
			at.hour = max(at.hour, c.dropped) // what is older is not read
			switch step := rapid.SampledFrom([]string{"read", "read", "lose", "wait", "drop"}).Draw(t, "step"); step {
			case "read":
				stored[at] = drawCells(t, at)
				c.causes.take(at, maps.Clone(stored[at]))
			case "lose":
				delete(stored, at)
				c.causes.forget(at)
			case "wait":
				now = now.Add(time.Duration(rapid.IntRange(1, 90).Draw(t, "minutes")) * time.Minute)
				c.now = now
			case "drop":
				c.drop(at.hour)
				maps.DeleteFunc(stored, func(p part, _ cells) bool { return p.hour < at.hour })
			}
			window := rapid.SampledFrom([]time.Duration{time.Hour, day, 7 * day}).Draw(t, "window")
			machine := rapid.SampledFrom([]string{"", machineA, machineB}).Draw(t, "state machine")
			want := failureCounters(now, stored).lastFailures(window, machine)
			if diff := gocmp.Diff(want, c.lastFailures(window, machine)); diff != "" {
				t.Fatalf("failures of %v (-all +remembered):\n%s", window, diff)
			}
		}
		if len(stored) == 0 && len(c.causes.groups)+len(c.causes.parts) != 0 {
			t.Fatalf("nothing is stored, and %d groups and %d parts are kept", len(c.causes.groups), len(c.causes.parts))
		}
	})
}

// TestOnlyChangesAreAddedUpAgain: of many causes and state machines, the ones without changes
// keep what was added up for the previous answer.
func TestOnlyChangesAreAddedUpAgain(t *testing.T) {
	t.Parallel()
	const machines, hours = 20, 48
	hour := tally.Hour(failuresNow)
	names := make([]string, machines)
	for i := range names {
		names[i] = fmt.Sprint(machineA, i)
	}
	read := func(at part) cells {
		all := cells{}
		for _, name := range names {
			cause := tally.Cause{Machine: tally.MachineOf(name), Error: "Boom"}
			all[cause.Group()] = &cell{Cause: &cause, slots: [tally.Slots]int64{1}, first: at.hour, last: at.hour}
		}
		return all
	}
	c := failureCounters(failuresNow, nil)
	for _, name := range names {
		c.machine(tally.MachineOf(name)).name = name
		for at := range int64(hours) {
			c.add(hour-at, tally.Entry{Machine: tally.MachineOf(name), Value: 100, Count: 1})
		}
	}
	for at := range int64(hours) {
		c.causes.take(part{int(at % 3), hour - at}, read(part{hour: hour - at}))
	}
	before, durations := remembered(c), c.allDurations("")

	old := part{0, hour - 30}
	late := read(old)
	changed := tally.Cause{Machine: tally.MachineOf(names[7]), Error: "Boom"}.Group()
	late[changed] = late[changed].plus(late[changed])
	c.causes.take(old, late)
	c.add(hour, tally.Entry{Machine: tally.MachineOf(names[7]), Value: 90, Count: 1})
	for id, s := range remembered(c) {
		if (s == before[id]) == (id == changed) {
			t.Errorf("cause %x: added up again: %v", id, s != before[id])
		}
	}
	for i, d := range c.allDurations("") {
		if same := &d.Hours[0] == &durations[i].Hours[0]; same == (d.StateMachine == names[7]) {
			t.Errorf("durations of %s: made again: %v", d.StateMachine, !same)
		}
	}
}

// remembered returns what is added up for the failures of a day.
func remembered(c *counters) map[string]*sum {
	c.lastFailures(day, "")
	all := map[string]*sum{}
	for id, g := range c.causes.groups {
		all[id] = g.windows[day]
	}
	return all
}

// BenchmarkFailures is the work of a refresh and an answer, after some failures of one hour.
func BenchmarkFailures(b *testing.B) {
	const machines, causes, hours = 200, 6, 168
	hour := tally.Hour(failuresNow)
	c := newCounters()
	c.now = failuresNow
	read := func(partition, n int, at int64) cells {
		all := cells{}
		for i := range n {
			i = i*37 + partition + int(at)
			name := fmt.Sprint(machineA, i%machines)
			cause := tally.Cause{Machine: tally.MachineOf(name), Error: "Boom", Template: fmt.Sprint(i % causes)}
			c.machine(cause.Machine).name = name
			when := tally.HourStart(at).Add(time.Duration(i%60) * time.Minute).UnixMilli()
			one := &cell{Cause: &cause, first: when, last: when, examples: []example{{when, fmt.Sprint("e", i)}}}
			one.slots[i%tally.Slots] = 1
			all[cause.Group()] = one
		}
		return all
	}
	for at := range int64(hours) {
		for partition := range 64 {
			c.causes.take(part{partition, hour - at}, read(partition, 10, hour-at))
		}
	}
	reads := make([]cells, 64)
	for window := range buckets {
		b.Run(window.String(), func(b *testing.B) {
			for i := range b.N {
				b.StopTimer()
				for p := range reads {
					reads[p] = read(p, 10+i%3, hour)
				}
				b.StartTimer()
				for p, each := range reads {
					c.causes.take(part{p, hour}, each)
				}
				c.lastFailures(window, "")
			}
		})
	}
}
