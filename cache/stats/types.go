package stats

import "time"

// Scope is whose executions a question is about.
type Scope struct {
	Owner string // ignored with All
	All   bool   // everybody's
}

// Duration is the distribution of the run times of executions that succeeded, in seconds.
// Its figures are right within 1 %. Without any they are 0.
type Duration struct {
	Count              int64
	P50, P95, P99, Max float64
}

// MachineDurations are the run times of a state machine in the last 7 days.
type MachineDurations struct {
	StateMachine string // ARN
	All          Duration
	Hours        []HourDurations // in which executions succeeded, the oldest first
}

// HourDurations are the run times of the executions that succeeded in one hour.
type HourDurations struct {
	Start time.Time
	Duration
}

// Failures are the failures of a time, by their cause.
type Failures struct {
	Since, Until time.Time
	Bucket       time.Duration // of a trend
	Total        int64
	Other        int64   // of Total: in none of the groups
	Groups       []Group // the last seen first
}

// Group is the failures of a state machine with the same error and, but for its variable
// parts, the same message. An execution counts once for each attempt that failed.
type Group struct {
	StateMachine string // ARN
	Error        string // name
	Message      string // without its variable parts
	Count        int64
	Share        float64 // of all failures of the time, 0 to 1
	FirstSeen    time.Time
	LastSeen     time.Time
	Trend        []int64  // of each bucket, the oldest first
	Examples     []string // ARNs of executions, the newest first, at most 3
}

// Minute is what happened in a minute.
type Minute struct {
	Start                      time.Time
	Started, Succeeded, Failed int64
}

// Machine is the executions of a state machine: those that run now, and those that ended
// in the last 24 hours.
type Machine struct {
	StateMachine               string // ARN
	Running, Succeeded, Failed int64
}
