package cache

import (
	"strconv"
	"time"
)

// Status is where an execution stands, in the words of Step Functions. A word
// that this release does not know is kept as it came.
type Status string

// The words of Step Functions.
const (
	Running        Status = "RUNNING"
	PendingRedrive Status = "PENDING_REDRIVE"
	Succeeded      Status = "SUCCEEDED"
	Failed         Status = "FAILED"
	TimedOut       Status = "TIMED_OUT"
	Aborted        Status = "ABORTED"
)

// Source is where an observation came from.
type Source string

// The sources of observations.
const (
	FromEvent        Source = "event"
	FromRegistration Source = "register"
	FromDescribe     Source = "describe"
	FromReplay       Source = "replay"
	FromRetention    Source = "retention" // in a trail only: an output has expired
)

// Completeness says how much of an observation is there. It is part of the
// version, so an output that comes later than its status wins.
type Completeness uint8

// How much is there. RUNNING and failures are always Complete.
const (
	OutputAwaited Completeness = iota // SUCCEEDED, the output is still to be fetched
	OutputGivenUp                     // SUCCEEDED, the output cannot be had
	Complete
	OutputRefetched // SUCCEEDED, whole again after its output had expired (output.go)
	OutputExpired   // SUCCEEDED, its state is kept longer than its output
	OutputGone      // as OutputExpired, and Step Functions does not have the output either
)

// Execution is one observation of an execution, from any source. It is a plain
// value; what several observations amount to is decided by Version.
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

	// The input that may name them was left out, so Step Functions is to be asked.
	OwnerLeftOut, LabelsLeftOut bool

	Source Source

	// Where it came from, for the trail.
	EventID    string    // the same in every copy of an event and in its replays; empty: no event
	EmittedAt  time.Time // by Step Functions; never used to order; zero: not known
	ReceivedAt time.Time // by us; zero: not known
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
	return !e.StopDate.IsZero() // a word we do not know: the stop date decides
}

// Version places an observation among all others of the same execution: the
// greater text is the later state, whatever the order of arrival. It depends on
// nothing but the observation, so an event, its replay and an answer of
// DescribeExecution about the same transition have the same version.
// The form is
//
//	startDate in ms - redriveCount - rank - completeness
//
// in fixed widths, for instance 01769414400123-00000-6-2.
type Version string

// Unobserved is the version of an execution that is registered and of which
// nothing has been observed yet. It is below every version of an observation.
const Unobserved Version = "00000000000000-00000-0-0"

// Bounds of what a version can hold. Whoever makes an Execution checks them.
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
	b := appendDigits(make([]byte, 0, versionLength), e.StartDate.UnixMilli(), startLength)
	b = appendDigits(append(b, '-'), int64(e.RedriveCount), redriveDigits)
	b = appendDigits(append(b, '-'), int64(e.rank()), 1)
	return Version(appendDigits(append(b, '-'), int64(min(e.Completeness, OutputRefetched)), 1))
}

// appendDigits appends n in so many digits.
func appendDigits(b []byte, n int64, digits int) []byte {
	first := len(b)
	b = append(b, "00000000000000"[:digits]...)
	for i := first + digits - 1; i >= first; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
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

// StartDate returns the start date that v holds.
func (v Version) StartDate() time.Time {
	ms, err := strconv.ParseInt(string(v[:startLength]), 10, 64)
	if err != nil {
		return time.Time{} // not a version that Execution.Version made
	}
	return time.UnixMilli(ms)
}

// awaitsOutput reports whether v is that of a success whose output is still to be
// fetched. To the public it runs.
func (v Version) awaitsOutput() bool { return v[rankAt:] == "6-0" }

// public returns the version that the API reports for a record of version v: a
// success whose output is awaited is shown as the run that it was.
func (v Version) public() Version {
	if !v.awaitsOutput() {
		return v
	}
	return v[:rankAt] + "1-2"
}

// AwaitsOutput reports whether v is that of a success whose output is still to be
// fetched, and GaveUp whether the output could not be had.
func (v Version) AwaitsOutput() bool { return v != "" && v.awaitsOutput() }

// GaveUp reports whether v is that of a success without its output.
func (v Version) GaveUp() bool { return v != "" && v[rankAt:] == "6-1" }

// SameOrLaterState reports whether v is that of a state of the same execution as
// late as that of w, or later, whatever is known of its output. Nothing known, the
// empty version, is before everything.
func (v Version) SameOrLaterState(w Version) bool {
	return v != "" && v[:rankAt+1] >= w[:rankAt+1]
}

// SameStart reports whether v and w are of the same execution, of those that had the
// name.
func (v Version) SameStart(w Version) bool { return v[:startLength] == w[:startLength] }

// RedriveCount returns the redrive count that v holds.
func (v Version) RedriveCount() int { return v.redriveCount() }

// Succeeded reports whether v is that of a success, whatever is known of its output.
func (v Version) Succeeded() bool { return v != "" && v[rankAt] == '6' }

// Status returns the Step Functions word that v holds. A registration counts as running.
func (v Version) Status() Status {
	ranks := [...]Status{Running, Running, PendingRedrive, Failed, TimedOut, Aborted, Succeeded}
	if rank := int(v[rankAt] - '0'); rank < len(ranks) {
		return ranks[rank]
	}
	return Running
}

// Running reports whether v is that of an execution that has not ended.
func (v Version) Running() bool { return v != "" && v[rankAt] < '3' }

// FirstAttempt reports whether the execution has not been redriven.
func (v Version) FirstAttempt() bool { return v[redriveAt:redriveAt+redriveDigits] == "00000" }

// redriveCount returns the redrive count that v holds.
func (v Version) redriveCount() int {
	n, err := strconv.Atoi(string(v[redriveAt : redriveAt+redriveDigits]))
	if err != nil {
		return 0
	}
	return n
}

// ParseVersion returns the version that s begins with, if it begins with one.
func ParseVersion(s string) (v Version, ok bool) {
	if v, ok = parseStored(s); ok && v.hasOutputState() {
		return v + outputStateIn(s[versionLength:]), true
	}
	return v, ok
}

// parseStored returns the version that s begins with, as records have it.
func parseStored(s string) (v Version, ok bool) {
	if len(s) < versionLength {
		return "", false
	}
	for i := range versionLength {
		switch i {
		case startLength, rankAt - 1, completeAt - 1:
			ok = s[i] == '-'
		default:
			ok = s[i] >= '0' && s[i] <= '9'
		}
		if !ok {
			return "", false
		}
	}
	return Version(s[:versionLength]), true
}
