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
	// Swept is when the latest sweep began that came to its end, by the clock of
	// Redis; zero: none did.
	Swept time.Time `json:"swept,omitzero"`
	// ConfirmedUntil is the time up to which everything that Step Functions lists
	// is known here; zero: nothing is confirmed.
	ConfirmedUntil time.Time `json:"confirmedUntil,omitzero"`
	// Mismatches is how many executions differed when the latest sweep ended, and Oldest
	// until when the first of these did not; zero: not known.
	Mismatches int       `json:"doubts"`
	Oldest     time.Time `json:"oldest,omitzero"`
	// Problem is why the state machine cannot be swept, fit for public answers;
	// empty: it can.
	Problem string `json:"problem,omitempty"`
}

// Mismatch is an execution of which an earlier state is known than Step Functions lists.
type Mismatch struct {
	Noted  time.Time     // first
	Until  time.Time     // it did not differ then; zero: not known
	Listed cache.Version // the latest that was listed; empty: it is not listed where it should be
}

// text is a mismatch as it is stored.
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
	Before     Audited                // as the sweep before left it
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
