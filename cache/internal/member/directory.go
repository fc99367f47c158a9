package member

import (
	"context"
	"slices"
	"sync"
	"time"

	"statuscache/cache/internal/uptime"
)

// Directory maps the identifiers in short forms to state machines. Its methods can be called
// concurrently.
type Directory struct {
	// Load returns the ARNs of all state machines by their identifiers.
	Load func(context.Context) (map[string]string, error)

	mu     sync.Mutex
	names  map[string]string
	loaded int64 // by uptime; 0: never
}

// loadEvery is the minimum time between two requests for the same unknown identifier.
const loadEvery = int64(time.Second)

// ARNs returns the ARNs of index members, empty if the state machine is not known.
func (d *Directory) ARNs(ctx context.Context, members []string) ([]string, error) {
	if !slices.ContainsFunc(members, IsShort) {
		return members, nil
	}
	names, err := d.known(ctx, members)
	if err != nil {
		return nil, err
	}
	arns := make([]string, len(members))
	for i, m := range members {
		switch {
		case !IsShort(m):
			arns[i] = m
		case names[machineOf(m)] != "":
			arns[i] = long(m, names[machineOf(m)])
		}
	}
	return arns, nil
}

// known returns the names. It reads them again if a name is missing.
func (d *Directory) known(ctx context.Context, members []string) (map[string]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	lacks := slices.ContainsFunc(members, func(m string) bool { return IsShort(m) && d.names[machineOf(m)] == "" })
	if !lacks || d.loaded != 0 && uptime.Now()-d.loaded < loadEvery {
		return d.names, nil
	}
	names, err := d.Load(ctx)
	if err != nil {
		return nil, err
	}
	d.names, d.loaded = names, max(uptime.Now(), 1)
	return names, nil
}
