package record

import (
	"strconv"
	"strings"
	"time"
)

// Status is the status of an execution, as Step Functions names it. An unknown status is
// kept unchanged.
type Status string

// The statuses of Step Functions.
const (
	Running        Status = "RUNNING"
	PendingRedrive Status = "PENDING_REDRIVE"
	Succeeded      Status = "SUCCEEDED"
	Failed         Status = "FAILED"
	TimedOut       Status = "TIMED_OUT"
	Aborted        Status = "ABORTED"
)

// The parts of a version, and their positions.
const (
	StartLength   = 14
	redriveAt     = StartLength + 1
	RedriveDigits = 5
	RankAt        = redriveAt + RedriveDigits + 1
	CompleteAt    = RankAt + 2
	VersionLength = CompleteAt + 1
)

// The identity of a version with the state of an output has these fields instead of a part of
// the hash of the body: the time since when the output is kept, in seconds, hexadecimal, and
// its state.
const (
	OutputFromDigits  = 8
	OutputStateLength = OutputFromDigits + 1

	outputChanged = '3' // completeness
)

// Version places an observation among all others of the same execution: the greater text
// is the later state, in any order of arrival. It depends only on the observation, so an
// event, its replay and an answer of DescribeExecution about the same transition have the
// same version. The form is
//
//	startDate in ms - redriveCount - rank - completeness
//
// in fixed widths, for instance 01769414400123-00000-6-2.
type Version string

// Unobserved is the version of a registered execution without any observation yet. It is
// below every version of an observation.
const Unobserved Version = "00000000000000-00000-0-0"

// StartDate returns the start date in v.
func (v Version) StartDate() time.Time {
	ms, err := strconv.ParseInt(string(v[:StartLength]), 10, 64)
	if err != nil {
		return time.Time{} // not a version that Execution.Version made
	}
	return time.UnixMilli(ms)
}

// Public returns the version that the API reports for a record of version v: a success
// that waits for its output is reported as running.
func (v Version) Public() Version {
	if !v.AwaitsOutput() {
		return v
	}
	return v[:RankAt] + "1-2"
}

// AwaitsOutput reports whether v is the version of a success whose output must still be
// fetched, which the API reports as RUNNING. GaveUp reports whether the output could not be
// fetched.
func (v Version) AwaitsOutput() bool { return v != "" && v[RankAt:] == "6-0" }

// GaveUp reports whether v is the version of a success without its output.
func (v Version) GaveUp() bool { return v != "" && v[RankAt:] == "6-1" }

// SameOrLaterState reports whether v is the version of the same or a later state of the
// same execution as w, with or without its output. The empty version, of an unknown
// execution, is before all others.
func (v Version) SameOrLaterState(w Version) bool {
	return v != "" && v[:RankAt+1] >= w[:RankAt+1]
}

// SameStart reports whether v and w belong to the same incarnation of the execution's
// name.
func (v Version) SameStart(w Version) bool { return v[:StartLength] == w[:StartLength] }

// RedriveCount returns the redrive count in v.
func (v Version) RedriveCount() int {
	n, err := strconv.Atoi(string(v[redriveAt : redriveAt+RedriveDigits]))
	if err != nil {
		return 0
	}
	return n
}

// Succeeded reports whether v is that of a success, with or without its output.
func (v Version) Succeeded() bool { return v != "" && v[RankAt] == '6' }

// Status returns the Step Functions status in v. A registration counts as running.
func (v Version) Status() Status {
	ranks := [...]Status{Running, Running, PendingRedrive, Failed, TimedOut, Aborted, Succeeded}
	if rank := int(v[RankAt] - '0'); rank < len(ranks) {
		return ranks[rank]
	}
	return Running
}

// Running reports whether v is that of an execution that has not ended.
func (v Version) Running() bool { return v != "" && v[RankAt] < '3' }

// FirstAttempt reports whether the execution has not been redriven.
func (v Version) FirstAttempt() bool { return v[redriveAt:redriveAt+RedriveDigits] == "00000" }

// ParseVersion returns the version that s begins with, if it begins with one.
func ParseVersion(s string) (v Version, ok bool) {
	if v, ok = ParseStored(s); ok && v.HasOutputState() {
		return v + outputStateIn(s[VersionLength:]), true
	}
	return v, ok
}

// ParseStored returns the version, in its stored form, that s begins with.
func ParseStored(s string) (v Version, ok bool) {
	if len(s) < VersionLength {
		return "", false
	}
	for i := range VersionLength {
		switch i {
		case StartLength, RankAt - 1, CompleteAt - 1:
			ok = s[i] == '-'
		default:
			ok = s[i] >= '0' && s[i] <= '9'
		}
		if !ok {
			return "", false
		}
	}
	return Version(s[:VersionLength]), true
}

// HasOutputState reports whether v has the state of an output that has expired before.
func (v Version) HasOutputState() bool { return v[RankAt] == '6' && v[CompleteAt] == outputChanged }

// outputStateIn returns the state of an output that s begins with, or nothing.
func outputStateIn(s string) Version {
	if len(s) <= OutputStateLength || s[0] != '-' || strings.Trim(s[1:1+OutputStateLength], "0123456789abcdef") != "" {
		return ""
	}
	return Version(s[:1+OutputStateLength])
}
