package tally

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/internal/monotonic"
	"statuscache/cache/internal/redisdb"
)

const (
	maxMachineNames = 10_000 // remembered
	machineNameLife = 30 * time.Second
)

// Names stores the ARN of each state machine, for the identifiers in the counters and in
// short forms. From time to time it writes a name again, in case Redis has lost it.
type Names struct {
	mu    sync.Mutex
	known map[string]machineName
}

type machineName struct {
	id      Machine
	written int64 // by the monotonic clock; 0: never
	unique  bool  // Redis has the identifier for this state machine
}

// NewNames returns empty Names.
func NewNames() *Names { return &Names{known: map[string]machineName{}} }

func (n *Names) of(stateMachine string) machineName {
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
	return name
}

// ID returns the identifier of a state machine.
func (n *Names) ID(stateMachine string) Machine { return n.of(stateMachine).id }

// Unique reports whether Redis is known to have the identifier of a state machine for this one.
func (n *Names) Unique(stateMachine string) bool { return n.of(stateMachine).unique }

// Write writes the due names of state machines. If that fails, the next call tries again.
// If two have the same identifier, the first one keeps it.
func (n *Names) Write(ctx context.Context, db *redisdb.DB, stateMachines []string) {
	due := n.due(stateMachines)
	if len(due) == 0 {
		return
	}
	pipe := db.Writers.Pipeline()
	stored := make([]*redis.StringCmd, len(due))
	for i, name := range due {
		id := MachineOf(name)
		pipe.HSetNX(ctx, db.Names.Counted, string(id[:]), name)
		stored[i] = pipe.HGet(ctx, db.Names.Counted, string(id[:]))
	}
	_, _ = pipe.Exec(ctx) // says no more than its commands do
	for i, name := range due {
		text, err := stored[i].Result()
		n.confirm(name, text == name, err)
	}
}

// due returns the state machines whose names must be written.
func (n *Names) due(stateMachines []string) (all []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := max(monotonic.Now(), 1)
	for _, m := range stateMachines {
		name := n.known[m]
		if name.written != 0 && now-name.written < int64(machineNameLife) {
			continue
		}
		name.id, name.written = MachineOf(m), now
		n.known[m] = name
		all = append(all, m)
	}
	return all
}

// confirm notes whether Redis has a name. If that is not known, the name is written again soon.
func (n *Names) confirm(stateMachine string, unique bool, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	name := n.known[stateMachine]
	if name.unique = err == nil && unique; err != nil {
		name.written = 0
	}
	n.known[stateMachine] = name
}
