package reports

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"statuscache/cache/bounded"
	"statuscache/cache/flight"
	"statuscache/httpapi/internal/envelope"
)

const (
	maxSnapshotBytes = 32 << 20
	// snapshotFresh is for how long a snapshot is sent and not made again, and snapshotLife
	// for how long it is sent while another is made.
	snapshotFresh = time.Second
	snapshotLife  = 3 * time.Second
	snapshotLimit = 10 * time.Second
)

// Snapshots are reports as they are sent, each shared by all requests with the same question.
// Where a question is repeated, it is answered at once from what is some seconds old at most.
type Snapshots struct {
	known  bounded.ByText[*Snapshot]
	making flight.Group[*Snapshot]
}

// State differs between two reports if anything but the time does.
type State [sha256.Size]byte

// Snapshot is a report as it is sent.
type Snapshot struct {
	Body  []byte // JSON with its envelope
	State State

	made time.Time
}

// Data returns the report without its envelope.
func (s *Snapshot) Data() []byte {
	return s.Body[len(envelope.SuccessBegin) : len(s.Body)-len(envelope.SuccessEnd)]
}

// NewSnapshots returns Snapshots of which none is made yet.
func NewSnapshots() *Snapshots {
	const fixed = 256 // bytes, beside the texts
	return &Snapshots{known: bounded.NewWeighedByText(maxSnapshotBytes, func(question string, s *Snapshot) uint32 {
		return uint32(fixed + len(question) + len(s.Body))
	})}
}

// Report makes a report, and what of it does not only say when it was made; nil: all.
type Report func(context.Context) (report, timeless any, err error)

// Of returns the report to a question, which names all that the answer depends on: the caller's
// scope too. It is up to a second old or, where the question is repeated, up to three.
func (s *Snapshots) Of(ctx context.Context, question string, report Report) (*Snapshot, error) {
	return s.of(ctx, question, report, snapshotLife)
}

// Fresh is Of for a report that is at most a second old.
func (s *Snapshots) Fresh(ctx context.Context, question string, report Report) (*Snapshot, error) {
	return s.of(ctx, question, report, snapshotFresh)
}

func (s *Snapshots) of(ctx context.Context, question string, report Report, life time.Duration) (*Snapshot, error) {
	known, ok := s.known.Get(question)
	if ok && time.Since(known.made) < snapshotFresh {
		return known, nil
	}
	making := s.making.Begin(ctx, snapshotLimit, question, func(ctx context.Context) (*Snapshot, error) {
		made, err := snapshot(ctx, report)
		if err == nil {
			s.known.Set(question, made)
		}
		return made, err
	})
	if ok && time.Since(known.made) < life {
		return known, nil // and later requests get the newer one
	}
	made, err := making.Wait(ctx)
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return made, nil
}

func snapshot(ctx context.Context, make Report) (*Snapshot, error) {
	s := &Snapshot{made: time.Now()}
	report, timeless, err := make(ctx)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(report)
	if err != nil {
		return nil, err
	}
	state := data
	if timeless != nil {
		if state, err = json.Marshal(timeless); err != nil {
			return nil, err
		}
	}
	s.Body, s.State = envelope.Success(data), sha256.Sum256(state)
	return s, nil
}
