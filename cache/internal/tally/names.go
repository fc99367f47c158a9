package tally

import (
	"context"
	"iter"
	"sync"
	"time"

	"statuscache/cache/internal/redisdb"
	"statuscache/cache/internal/uptime"
)

const (
	maxMachineNames = 10_000 // remembered
	machineNameLife = 30 * time.Second
)

// Names writes the ARN of each state machine to where the counters name it. A name is
// written again now and then, in case Redis has lost it.
type Names struct {
	mu    sync.Mutex
	known map[string]machineName
}

type machineName struct {
	id      Machine
	written int64 // by uptime; 0: never
}

// NewNames returns Names that knows none.
func NewNames() *Names { return &Names{known: map[string]machineName{}} }

// ID returns the identifier of a state machine.
func (n *Names) ID(stateMachine string) Machine {
	n.mu.Lock()
	defer n.mu.Unlock()
	name, ok := n.known[stateMachine]
	if !ok {
		if len(n.known) >= maxMachineNames {
			clear(n.known)
		}
		name.id = MachineOf(stateMachine)
		n.known[stateMachine] = name
	}
	return name.id
}

// Write writes the names of state machines that are due. Where that fails, the next call
// tries again.
func (n *Names) Write(ctx context.Context, db *redisdb.DB, stateMachines iter.Seq[string]) {
	pairs := n.due(stateMachines)
	if len(pairs) == 0 {
		return
	}
	if err := db.Writers.HSet(ctx, db.Names.Counted, pairs...).Err(); err != nil {
		n.forget(pairs)
	}
}

// due returns which of the names are to be written: identifier and ARN of each.
func (n *Names) due(stateMachines iter.Seq[string]) (pairs []any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := max(uptime.Now(), 1)
	for m := range stateMachines {
		name := n.known[m]
		if name.written != 0 && now-name.written < int64(machineNameLife) {
			continue
		}
		name.id, name.written = MachineOf(m), now
		n.known[m] = name
		pairs = append(pairs, name.id[:], m)
	}
	return pairs
}

// forget has the names that were due written with the next.
func (n *Names) forget(pairs []any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := 1; i < len(pairs); i += 2 {
		delete(n.known, pairs[i].(string))
	}
}
