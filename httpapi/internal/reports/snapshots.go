package reports

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"statuscache/cache/boundedmap"
	"statuscache/cache/singleflight"
	"statuscache/httpapi/internal/envelope"
)

const (
	maxSnapshotBytes = 32 << 20
	// snapshotFresh is how long a snapshot is sent without making a new one, and
	// snapshotLife how long it is sent while a new one is made.
	snapshotFresh = time.Second
	snapshotLife  = 3 * time.Second
	snapshotLimit = 10 * time.Second
	// answerFirst is how long a new snapshot waits while the old one is sent. Otherwise it would
	// compete with that answer for the processors.
	answerFirst = 5 * time.Millisecond
)

// Snapshots are encoded reports, each shared by all requests with the same question. A
// repeated question is answered at once, with a report that is at most a few seconds old.
type Snapshots struct {
	known  boundedmap.ByText[*Snapshot]
	making singleflight.Group[*Snapshot]
}

// State is equal for two reports that differ only in time.
type State [sha256.Size]byte

// Snapshot is an encoded report.
type Snapshot struct {
	Body  []byte // JSON with its envelope
	State State

	made time.Time
}

// Data returns the report without its envelope.
func (s *Snapshot) Data() []byte { return Encoded{Body: s.Body}.data() }

// NewSnapshots returns empty Snapshots.
func NewSnapshots() *Snapshots {
	const fixed = 256 // bytes, beside the texts
	return &Snapshots{known: boundedmap.NewWeighedByText(maxSnapshotBytes, func(question string, s *Snapshot) uint32 {
		return uint32(fixed + len(question) + len(s.Body))
	})}
}

// Encoded is a report in JSON.
type Encoded struct {
	Body []byte // with its envelope
	// Timeless has the parts that do not depend on the time at which the report was made;
	// nil: nothing of it does.
	Timeless [][]byte
}

// data returns the report without its envelope.
func (e Encoded) data() []byte {
	return e.Body[len(envelope.SuccessBegin) : len(e.Body)-len(envelope.SuccessEnd)]
}

// Report makes a report.
type Report func(context.Context) (Encoded, error)

// Of returns the report for a question. The question must contain everything that the answer
// depends on, including the caller's scope. The report is up to one second old or, if the
// question is repeated, up to three.
func (s *Snapshots) Of(ctx context.Context, question string, report Report) (*Snapshot, error) {
	return s.of(ctx, question, report, snapshotLife)
}

// Fresh is Of for a report that is at most one second old.
func (s *Snapshots) Fresh(ctx context.Context, question string, report Report) (*Snapshot, error) {
	return s.of(ctx, question, report, snapshotFresh)
}

func (s *Snapshots) of(ctx context.Context, question string, report Report, life time.Duration) (*Snapshot, error) {
	known, ok := s.known.Get(question)
	if ok && time.Since(known.made) < snapshotFresh {
		return known, nil
	}
	usable := ok && time.Since(known.made) < life
	making := s.making.Begin(ctx, snapshotLimit, question, func(ctx context.Context) (*Snapshot, error) {
		if usable {
			<-time.After(answerFirst)
		}
		made, err := snapshot(ctx, report)
		if err == nil {
			s.known.Set(question, made)
		}
		return made, err
	})
	if usable {
		return known, nil // later requests get the newer report
	}
	made, err := making.Wait(ctx)
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return made, nil
}

func snapshot(ctx context.Context, make Report) (*Snapshot, error) {
	s := &Snapshot{made: time.Now()}
	report, err := make(ctx)
	if err != nil {
		return nil, err
	}
	if report.Timeless == nil {
		report.Timeless = [][]byte{report.Body}
	}
	state := sha256.New()
	for _, part := range report.Timeless {
		_, _ = state.Write(part) // a hash does not fail
	}
	state.Sum(s.State[:0])
	s.Body = report.Body
	return s, nil
}
