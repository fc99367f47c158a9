package reports

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"statuscache/cache/bounded"
	"statuscache/cache/flight"
	"statuscache/cache/stats"
)

const (
	maxSnapshots  = 1_000 // scopes
	snapshotLife  = time.Second
	snapshotLimit = 10 * time.Second
)

// Snapshots are overviews, each shared by all requests for the same within a second.
type Snapshots struct {
	statistics Statistics
	late       Late
	around     func() Surroundings
	known      bounded.ByText[*Snapshot]
	making     flight.Group[*Snapshot]
}

// State differs between two overviews if anything but the time does.
type State [sha256.Size]byte

// Snapshot is an overview as it is sent.
type Snapshot struct {
	Data  []byte // JSON
	State State

	made time.Time
}

// NewSnapshots returns Snapshots of what statistics count and what is late, with what around
// says beside.
func NewSnapshots(statistics Statistics, late Late, around func() Surroundings) *Snapshots {
	return &Snapshots{statistics: statistics, late: late, around: around, known: bounded.NewByText[*Snapshot](maxSnapshots)}
}

// Of returns the overview of a scope, at most a second old.
func (s *Snapshots) Of(ctx context.Context, scope stats.Scope) (*Snapshot, error) {
	name := "all"
	if !scope.All {
		name = "owner " + scope.Owner
	}
	if known, ok := s.known.Get(name); ok && time.Since(known.made) < snapshotLife {
		return known, nil
	}
	making := s.making.Begin(ctx, snapshotLimit, name, func(ctx context.Context) (*Snapshot, error) { return s.make(ctx, name, scope) })
	made, err := making.Wait(ctx)
	if err != nil {
		return nil, fmt.Errorf("overview: %w", err)
	}
	return made, nil
}

func (s *Snapshots) make(ctx context.Context, name string, scope stats.Scope) (*Snapshot, error) {
	now := time.Now()
	o, err := NewOverview(ctx, s.statistics, s.late, scope, s.around(), now)
	if err != nil {
		return nil, err
	}
	made := &Snapshot{made: now}
	if made.Data, err = json.Marshal(o); err != nil {
		return nil, err
	}
	timeless, err := json.Marshal(o.Timeless())
	if err != nil {
		return nil, err
	}
	made.State = sha256.Sum256(timeless)
	s.known.Set(name, made)
	return made, nil
}
