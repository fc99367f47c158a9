package cache

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"statuscache/cache/internal/record"
)

// The output of a success may be kept for a shorter time than its state (RETENTION_OUTPUT).
// Then it expires, and may be fetched from Step Functions again. Both are observations like
// any other, and later than those of the success itself. They have the same completeness, so
// the one with the later time of keeping the output wins. Therefore an identity has these
// fields instead of the hash of the body:
//
//	kept since 8, in seconds, hexadecimal | state 1 | the beginning of the hash
//
// and the version that the API reports ends with the first two of them. Earlier releases
// order such records in the same way, and send the stored bodies.
const (
	outputFromDigits  = record.OutputFromDigits
	outputStateLength = record.OutputStateLength
)

// States of an output that has expired before, in their order.
const (
	outputIsBack = '0' + iota
	outputIsExpired
	outputIsGone
)

// OutputLife returns how long the output of a succeeded execution is kept; 0: as long as its record.
func (c *Cache) OutputLife() time.Duration { return c.options.RetentionOutput }

// identityHash decides between two observations of the same version.
func identityHash(body []byte, e *Execution) string {
	hash := bodyHash(body, public(e))
	if e.Completeness < OutputRefetched {
		return hash
	}
	from := min(max(e.OutputFrom.Unix(), 0), math.MaxUint32)
	return fmt.Sprintf("%08x%d%s", from, e.Completeness-OutputRefetched, hash[:hashLength-outputStateLength])
}

// outputState returns since when the output is or was kept, and its state after it expired;
// 0 if it has never expired.
func (r *Record) outputState() (from time.Time, state byte) {
	if len(r.Version) <= versionLength+outputStateLength {
		return r.stopDate, 0
	}
	text := string(r.Version[versionLength+1:])
	seconds, _ := strconv.ParseInt(text[:outputFromDigits], 16, 64) // in the form of identityHash
	return time.Unix(seconds, 0), text[outputFromDigits]
}

// OutputExpired reports whether the execution has succeeded and its output is no longer
// kept. OutputGone reports whether Step Functions no longer has it either.
func (r *Record) OutputExpired() bool {
	_, state := r.outputState()
	return state >= outputIsExpired
}

// OutputGone is described at OutputExpired.
func (r *Record) OutputGone() bool {
	_, state := r.outputState()
	return state == outputIsGone
}

// OutputKept reports whether the output of a success is still kept if outputs are kept for
// life; 0: as long as their records.
func (r *Record) OutputKept(life time.Duration, now time.Time) bool {
	left, expires := r.outputLeft(life, now)
	return !r.OutputExpired() && (!expires || left > 0)
}

// OutputLost returns the observation that Step Functions no longer has the output of a
// success.
func (r *Record) OutputLost() Execution {
	e := r.withOutput(OutputGone)
	e.Source = FromDescribe
	return e
}

// outputLeft returns how much longer the output is kept if outputs are kept for life. expires
// is false if the record has no output that expires.
func (r *Record) outputLeft(life time.Duration, now time.Time) (left time.Duration, expires bool) {
	if life == 0 || r.PublicStatus() != Succeeded || r.OutputExpired() {
		return 0, false
	}
	from, _ := r.outputState()
	return from.Add(life).Sub(now), true
}

// shown returns the record for readers: without an output whose time is over, even if
// Redis still has it. The sweeper will store the record in this form.
func (r *Record) shown(life time.Duration, now time.Time) *Record {
	left, expires := r.outputLeft(life, now)
	if !expires || left > 0 {
		return r
	}
	e := r.withOutput(OutputExpired)
	body := appendBody(nil, &e)
	hash := identityHash(body, &e)
	version := e.Version() + "-" + Version(hash[:outputStateLength])
	return &Record{
		ARN: r.ARN, Version: version, Owner: r.Owner, Status: r.Status, Terminal: true,
		StartDate: r.StartDate, InputType: r.InputType, ObservedAt: r.ObservedAt, Source: r.Source,
		stopDate: r.stopDate, head: r.head, labels: r.labels,
		Plain: newRepresentation(body, version, hash[outputStateLength:]),
	}
}

// withOutput returns the observation that the output of a success is in the given state.
func (r *Record) withOutput(c Completeness) Execution {
	from, _ := r.outputState()
	return Execution{
		ARN: r.ARN, Status: Succeeded, StartDate: r.StartDate, StopDate: r.stopDate, RedriveCount: r.Version.RedriveCount(),
		Completeness: c, OutputFrom: from, Source: r.Source,
	}
}

// OutputExpired returns the observation that the output has expired. It changes nothing if a
// newer state is known. ok is false if there is no output that can expire.
func (s *Stored) OutputExpired() (e Execution, ok bool) {
	if !s.Exact.Succeeded() || s.Record.OutputExpired() {
		return e, false
	}
	return s.Record.withOutput(OutputExpired), true
}

// KeptFor returns how long an execution is kept after it has stopped. For failures this
// may be a different time; 0 means the same time.
func (e *Execution) KeptFor(retention, failed time.Duration) time.Duration {
	if failed > 0 && publicStatus(e) == Failed {
		return failed
	}
	return retention
}
