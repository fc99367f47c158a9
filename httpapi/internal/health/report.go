package health

import (
	"errors"
	"maps"
	"slices"
	"time"

	"statuscache/cache"
	"statuscache/cache/worklist"
)

// Report is the answer of GET /v1/health. It says what is wrong but not why, because it
// is public.
type Report struct {
	Status  string       `json:"status"`
	Reasons []string     `json:"reasons,omitempty"`
	Notes   []string     `json:"notes,omitempty"`
	Parts   []PartReport `json:"parts,omitempty"`
	Version string       `json:"version"`
	Audit   []Audit      `json:"audit,omitempty"`
}

// PartReport is a part of the service that must work.
type PartReport struct {
	Name    string `json:"name"`
	Problem string `json:"problem,omitempty"` // as in the reasons
}

// Audit says up to when a state machine has been compared with Step Functions. It has the
// name of the state machine, because the ARN would reveal the account.
type Audit struct {
	StateMachine   string     `json:"stateMachine"`
	ConfirmedUntil *time.Time `json:"confirmedUntil"`
	Mismatches     int        `json:"doubts"`
	Problem        string     `json:"problem,omitempty"`
}

// Part is a part of the service that must work for it to be ready.
type Part struct {
	Name  string       // public, such as "redis"
	Ready func() error // nil, or the reason for operators; an error with Public() string has a public text too
}

// Checks are the sources of a report.
type Checks struct {
	Version string
	Parts   []Part
	// Concerns returns why answers may be wrong, as public texts; nil: never.
	Concerns func() []string
	// Notes returns why some callers do not get some executions, as public texts; nil: never.
	Notes func() []string
	// Audits returns up to when each state machine has been compared with Step Functions,
	// by ARN; nil: no audit.
	Audits func() map[string]worklist.Audited
	// StateMachines are the ARNs of the state machines that are reported; empty: all.
	StateMachines []string
	// Server returns what is wrong with the server itself, as public texts.
	Server func() []string
	// Draining reports whether the service is shutting down.
	Draining func() bool
	// Warming reports whether the first answers would take long, because the process has just
	// started; nil: never. A process that is warming up is healthy, but not ready.
	Warming func() bool
}

const (
	shuttingDown = "shutting down"
	warmingUp    = "reading the counters for the first time"
)

// Now returns the health of the service.
func (c *Checks) Now() Report {
	r := Report{Status: "ok", Version: c.Version, Audit: c.audits()}
	for _, each := range r.Audit {
		if each.Problem != "" {
			r.degrade("audit of " + each.StateMachine + ": " + each.Problem)
		}
	}
	if c.Concerns != nil {
		r.degrade(c.Concerns()...)
	}
	if c.Notes != nil {
		r.Notes = c.Notes()
	}
	for _, p := range c.Parts {
		each := PartReport{Name: p.Name}
		if err := p.Ready(); err != nil {
			each.Problem = Public(err)
			r.degrade(p.Name + ": " + each.Problem)
		}
		r.Parts = append(r.Parts, each)
	}
	r.degrade(c.Server()...)
	if c.Draining() {
		r.degrade(shuttingDown)
	}
	return r
}

func (r *Report) degrade(reasons ...string) {
	if len(reasons) > 0 {
		r.Status, r.Reasons = "degraded", append(r.Reasons, reasons...)
	}
}

func (c *Checks) audits() (all []Audit) {
	if c.Audits == nil {
		return nil
	}
	audits := c.Audits()
	for _, machine := range slices.Sorted(maps.Keys(audits)) {
		if len(c.StateMachines) > 0 && !slices.Contains(c.StateMachines, machine) {
			continue // of an earlier configuration, for example one with a typing error
		}
		each := Audit{StateMachine: cache.MachineARN(machine).Name(), Mismatches: audits[machine].Mismatches, Problem: audits[machine].Problem}
		if until := audits[machine].ConfirmedUntil.UTC(); !until.IsZero() {
			each.ConfirmedUntil = &until
		}
		all = append(all, each)
	}
	return all
}

// Public returns the text of an error for the public.
func Public(err error) string {
	var known interface{ Public() string }
	if errors.As(err, &known) {
		return known.Public()
	}
	return "not available"
}
