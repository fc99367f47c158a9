package cache

import (
	"sync/atomic"
	"time"

	"statuscache/cache/internal/record"
)

// Status is the status of an execution, as Step Functions names it. An unknown status is
// kept unchanged.
type Status = record.Status

// The statuses of Step Functions.
const (
	Running        = record.Running
	PendingRedrive = record.PendingRedrive
	Succeeded      = record.Succeeded
	Failed         = record.Failed
	TimedOut       = record.TimedOut
	Aborted        = record.Aborted
)

// Source is the origin of an observation.
type Source string

// The sources of observations.
const (
	FromEvent        Source = "event"
	FromRegistration Source = "register"
	FromDescribe     Source = "describe"
	FromReplay       Source = "replay"
	FromRetention    Source = "retention" // in a trail only: an output has expired
)

// Completeness says whether the output of an observation is present. It is part of the
// version, so an output that comes later than its status wins.
type Completeness uint8

// The values of Completeness. RUNNING and failures are always Complete.
const (
	OutputAwaited Completeness = iota // SUCCEEDED, the output is still to be fetched
	OutputGivenUp                     // SUCCEEDED, the output cannot be fetched
	Complete
	OutputRefetched // SUCCEEDED, its output was fetched again after it had expired (output.go)
	OutputExpired   // SUCCEEDED, its state is kept longer than its output
	OutputGone      // as OutputExpired, and Step Functions no longer has the output
)

// Execution is one observation of an execution, from any source. It is a plain
// value; Version decides the result of several observations.
type Execution struct {
	ARN          ARN
	Status       Status
	StartDate    time.Time // of the first attempt; a redrive does not change it
	StopDate     time.Time // zero while it runs
	RedriveCount int
	Completeness Completeness
	Output       []byte    // JSON text exactly as it came; only for SUCCEEDED
	OutputFrom   time.Time // since when the output is or was kept; only from OutputRefetched on
	Error        string    // name of the error, for failures
	ErrorMessage string    // one line for people, for failures
	Owner        string    // as the input names it; empty if it does not
	InputType    string    // as the input names it; empty if it does not
	Labels       Labels    // as the input names them

	// The event left out the input, which may name them, so the execution must be described.
	OwnerLeftOut, LabelsLeftOut bool

	Source Source

	// The origin of the observation, for the trail.
	EventID    string    // the same in every copy of an event and in its replays; empty: no event
	EmittedAt  time.Time // by Step Functions; never used to order; zero: not known
	ReceivedAt time.Time // by us; zero: not known
}

// Record is the state of an execution, ready to be sent. Its readers share it, and must
// not change it.
type Record struct {
	ARN       ARN
	Version   Version
	Owner     string // empty: not known, so only operators may read it
	Status    Status // the Step Functions word
	Terminal  bool
	StartDate time.Time
	InputType string

	Error      string // name of the error, for failures
	ObservedAt time.Time
	Source     Source

	stopDate time.Time // zero while it runs
	head     recordHead
	labels   record.Labels
	summary  atomic.Pointer[[]byte]
	bare     atomic.Pointer[Representation]

	// Plain is the uncompressed answer of GET /v1/status; Gzip is the same compressed,
	// nil if compression is not worth it.
	Plain *Representation
	Gzip  *Representation
}

// Representation is an answer about an execution, in one view and content coding. The header values are
// slices of one so that they can be put into a header map without allocating.
type Representation struct {
	Body   []byte
	ETag   []string // quoted; version, hash of the body and content coding
	Length []string // of Body, decimal
}

// Terminal reports whether the execution has stopped. A redrive can still start
// it again.
func (e *Execution) Terminal() bool {
	switch e.Status {
	case Running, PendingRedrive:
		return false
	case Succeeded, Failed, TimedOut, Aborted:
		return true
	}
	return !e.StopDate.IsZero() // an unknown status: the stop date decides
}

// Version places an observation among all others of the same execution: the greater text
// is the later state, in any order of arrival. It depends only on the observation, so an
// event, its replay and an answer of DescribeExecution about the same transition have the
// same version. The form is
//
//	startDate in ms - redriveCount - rank - completeness
//
// in fixed widths, for instance 01769414400123-00000-6-2.
type Version = record.Version

// Unobserved is the version of a registered execution without any observation yet. It is
// below every version of an observation.
const Unobserved = record.Unobserved

// ParseVersion returns the version that s begins with, if it begins with one.
func ParseVersion(s string) (v Version, ok bool) { return record.ParseVersion(s) }

// Bounds of the values in a version. The code that makes an Execution checks them.
const (
	MaxRedriveCount = 99_999
	// MaxTime is the last instant that the 14 digits of a version can write, in
	// the year 5138.
	MaxTime = 99_999_999_999_999 // ms since 1970
)

// Version returns the place of e.
func (e *Execution) Version() Version {
	if e.Source == FromRegistration {
		return Unobserved
	}
	b := record.AppendDigits(make([]byte, 0, versionLength), e.StartDate.UnixMilli(), startLength)
	b = record.AppendDigits(append(b, '-'), int64(e.RedriveCount), redriveDigits)
	b = record.AppendDigits(append(b, '-'), int64(e.rank()), 1)
	return Version(record.AppendDigits(append(b, '-'), int64(min(e.Completeness, OutputRefetched)), 1))
}

// rank orders the states of one attempt.
func (e *Execution) rank() int {
	switch e.Status {
	case Running:
		return 1
	case PendingRedrive:
		return 2
	case Failed:
		return 3
	case TimedOut:
		return 4
	case Aborted:
		return 5
	case Succeeded:
		return 6
	}
	if e.Terminal() {
		return 3
	}
	return 1
}
