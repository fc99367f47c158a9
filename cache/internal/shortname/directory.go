package shortname

import (
	"context"
	"slices"
	"sync"
	"time"

	"statuscache/cache/internal/monotonic"
)

// Directory maps the identifiers in short forms to state machines. Its methods can be called
// concurrently.
type Directory struct {
	// Load returns the ARNs of all state machines by their identifiers.
	Load func(context.Context) (map[string]string, error)

	mu       sync.Mutex
	prefixes map[string]string // of the ARNs of executions, by identifier
	loaded   int64             // by the monotonic clock; 0: never
}

// loadEvery is the minimum time between two requests for the same unknown identifier.
const loadEvery = int64(time.Second)

// ARNs returns the ARNs of index members, empty if the state machine is not known.
func (d *Directory) ARNs(ctx context.Context, members []string) ([]string, error) {
	if !slices.ContainsFunc(members, IsShort) {
		return members, nil
	}
	d.mu.Lock()
	known := d.prefixes
	d.mu.Unlock()
	arns, complete := resolve(members, known)
	if complete {
		return arns, nil
	}
	known, err := d.load(ctx)
	if err != nil {
		return nil, err
	}
	arns, _ = resolve(members, known) // what is still unknown stays empty
	return arns, nil
}

// resolve returns the ARNs of members. complete reports whether all their state machines are
// known.
func resolve(members []string, prefixes map[string]string) (arns []string, complete bool) {
	arns, complete = make([]string, len(members)), true
	for i, m := range members {
		if !IsShort(m) {
			arns[i] = m
		} else if prefix := prefixes[machineOf(m)]; prefix != "" {
			arns[i] = long(m, prefix)
		} else {
			complete = false
		}
	}
	return arns, complete
}

// load reads the names of the state machines again, unless that was done just now.
func (d *Directory) load(ctx context.Context) (prefixes map[string]string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.loaded != 0 && monotonic.Now()-d.loaded < loadEvery {
		return d.prefixes, nil
	}
	names, err := d.Load(ctx)
	if err != nil {
		return nil, err
	}
	prefixes = make(map[string]string, len(names))
	for id, name := range names {
		if name != "" {
			prefixes[id] = executionPrefix(name)
		}
	}
	d.prefixes, d.loaded = prefixes, max(monotonic.Now(), 1)
	return prefixes, nil
}
