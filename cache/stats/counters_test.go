package stats

import (
	"fmt"
	"testing"
	"time"

	"statuscache/cache/internal/tally"
)

// tallyOf is the tally of an hour with so many starts of a state machine in it.
func tallyOf(m tally.Machine, generation byte, starts int) string {
	text := string([]byte{0, generation, 0, 0, 0, 0})
	for range starts {
		event := tally.AppendEvent(nil, m, tally.Started, time.Unix(0, 0))
		text += string(event[tally.HourDigits:])
	}
	return text
}

// TestAnHourThatRedisLostInPartIsReadAgain: what other partitions have added to that hour
// meanwhile is neither lost nor counted twice.
func TestAnHourThatRedisLostInPartIsReadAgain(t *testing.T) {
	t.Parallel()
	c := newCounters()
	c.now = time.Now()
	hour := tally.Hour(c.now)
	var stored [2]string
	refresh := func(changes int64) {
		x := &index{now: c.now}
		for i := range stored {
			x.partitions[i].tallies = map[int64]int64{hour: changes}
		}
		wanted := c.changed(x)
		for _, r := range wanted.tallies {
			text := stored[r.partition]
			r.text, r.header = text[min(len(text), max(0, int(r.known.length)-1)):], text[:tally.HeaderLength]
		}
		c.takeParts(wanted)
		c.take(x)
	}
	started := func() (sum int64) {
		for _, m := range c.minutes {
			sum += m.Started
		}
		return sum
	}
	m := tally.MachineOf(machineA)
	stored = [2]string{tallyOf(m, 1, 3), tallyOf(m, 1, 5)}
	refresh(1)
	if n := started(); n != 8 {
		t.Fatalf("%d starts, and not 8", n)
	}
	stored = [2]string{tallyOf(m, 2, 1), tallyOf(m, 1, 6)}
	refresh(2)
	refresh(2)
	if n := started(); n != 7 {
		t.Errorf("%d starts, and not 7", n)
	}
}

// TestManyChangesAreReadInParts: the first refresh of a process reads all that is kept, and
// Redis has as long for each part as for any other answer.
func TestManyChangesAreReadInParts(t *testing.T) {
	t.Parallel()
	var r read
	for i := range 3*maxAtOnce + 1 {
		r.tallies = append(r.tallies, &tallyRead{part: part{i, 0}})
		r.failures = append(r.failures, &failuresRead{part: part{i, 1}})
	}
	seen := map[part]bool{}
	for _, p := range r.parts() {
		if n := len(p.tallies) + len(p.failures); n == 0 || n > maxAtOnce {
			t.Errorf("a part of %d", n)
		}
		for _, each := range p.tallies {
			seen[each.part] = true
		}
		for _, each := range p.failures {
			seen[each.part] = true
		}
	}
	if len(seen) != len(r.tallies)+len(r.failures) {
		t.Errorf("%d are read", len(seen))
	}
	if parts := (read{}).parts(); len(parts) != 0 {
		t.Errorf("nothing has changed, and %d parts are read", len(parts))
	}
}

// TestUnknownStateMachinesTakeNoMemory: callers can make up as many as they like.
func TestUnknownStateMachinesTakeNoMemory(t *testing.T) {
	t.Parallel()
	c := newCounters()
	c.now = time.Now()
	c.machine(tally.MachineOf(machineA)).name = machineA
	for i := range 10 {
		made := fmt.Sprint(machineB, i)
		if d, f := c.allDurations(made), c.lastFailures(day, made); len(d) != 0 || f.Total != 0 || f.Bucket != time.Hour || !f.Until.Equal(c.now) {
			t.Errorf("%v, %+v", d, f)
		}
	}
	if n := len(c.machines) + len(c.causes.groups); n != 1 {
		t.Errorf("%d state machines and causes are kept", n)
	}
}
