package cache

import (
	"context"
	"sync"
	"time"

	"statuscache/cache/internal/tally"
	"statuscache/cache/internal/uptime"
)

const (
	maxMachineNames = 10_000 // remembered
	machineNameLife = 30 * time.Second
)

// machineNames has the ARN of each state machine written where the counters name it. A
// name is written again now and then, in case Redis has lost it.
type machineNames struct {
	mu    sync.Mutex
	known map[string]machineName
}

type machineName struct {
	id      tally.Machine
	written int64 // by uptime; 0: never
}

// id returns the short name of a state machine.
func (m *machineNames) id(stateMachine string) tally.Machine {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, ok := m.known[stateMachine]
	if !ok {
		if len(m.known) >= maxMachineNames {
			clear(m.known)
		}
		n.id = tally.MachineOf(stateMachine)
		m.known[stateMachine] = n
	}
	return n.id
}

// due returns the names that are to be written among those of the writes: short name and
// ARN of each.
func (m *machineNames) due(writes []*write) (pairs []any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := max(uptime.Now(), 1)
	for _, w := range writes {
		n := m.known[w.machine]
		if w.err != nil || n.written != 0 && now-n.written < int64(machineNameLife) {
			continue
		}
		n.id, n.written = tally.MachineOf(w.machine), now
		m.known[w.machine] = n
		pairs = append(pairs, n.id[:], w.machine)
	}
	return pairs
}

// forget has the names that were due written with the next writes.
func (m *machineNames) forget(pairs []any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := 1; i < len(pairs); i += 2 {
		delete(m.known, pairs[i].(string))
	}
}

// nameMachines writes the names of the state machines of writes. Where that fails, the
// next write tries again.
func (c *Cache) nameMachines(ctx context.Context, writes []*write) {
	pairs := c.machines.due(writes)
	if len(pairs) == 0 {
		return
	}
	if err := c.db.Writers.HSet(ctx, c.db.Names.Counted, pairs...).Err(); err != nil {
		c.machines.forget(pairs)
	}
}
