package worklist

import (
	"fmt"
	"strings"
	"time"

	"statuscache/cache"
	"statuscache/cache/internal/redisdb"
)

// Audited is how far the audit of a state machine has come.
type Audited struct {
	// Swept is when the latest completed sweep began, by the clock of Redis; zero: none.
	Swept time.Time `json:"swept,omitzero"`
	// ConfirmedUntil is the time up to which everything that Step Functions lists is
	// known; zero: nothing is confirmed.
	ConfirmedUntil time.Time `json:"confirmedUntil,omitzero"`
	// Mismatches is how many executions differed at the end of the latest sweep. Oldest
	// is the time until which the first of them did not differ; zero: not known.
	Mismatches int       `json:"doubts"`
	Oldest     time.Time `json:"oldest,omitzero"`
	// Problem is why the state machine cannot be swept, for public answers; empty: it can
	// be swept.
	Problem string `json:"problem,omitempty"`
}

// Mismatch is an execution with a known state that is earlier than the one that Step Functions
// lists.
type Mismatch struct {
	Noted  time.Time     // first
	Until  time.Time     // last time at which it did not differ; zero: not known
	Listed cache.Version // the latest listed status; empty: it is not listed although it should be
}

// text returns the stored form of a mismatch.
func (m Mismatch) text() string {
	return fmt.Sprintf("%d %d %s", redisdb.Millis(m.Noted), redisdb.Millis(m.Until), m.Listed)
}

func parseMismatch(text string) (m Mismatch) {
	noted, rest, _ := strings.Cut(text, " ")
	until, listed, _ := strings.Cut(rest, " ")
	m.Noted, m.Until = redisdb.Time(noted), redisdb.Time(until)
	m.Listed, _ = cache.ParseVersion(listed)
	return m
}

// Sweep is the turn of one process to compare a state machine with Step Functions.
type Sweep struct {
	Machine    string
	Begun      time.Time              // by the clock of Redis
	Before     Audited                // as the previous sweep left it
	Mismatches map[cache.ARN]Mismatch // executions that differed then

	all []string // state machines that are audited
}

// fields are the mismatches as they are stored.
func (s *Sweep) fields() []any {
	fields := make([]any, 0, 2*min(len(s.Mismatches), maxMismatches))
	for arn, m := range s.Mismatches {
		if len(fields) < 2*maxMismatches {
			fields = append(fields, string(arn), m.text())
		}
	}
	return fields
}
