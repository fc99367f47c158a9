package stats

import "time"

// Scope selects the executions of one owner or of all owners.
type Scope struct {
	Owner string // ignored with All
	All   bool   // everybody's
}

// Duration is the distribution of the durations of succeeded executions, in seconds, with
// an error of at most 1 %. Without executions the figures are 0.
type Duration struct {
	Count              int64
	P50, P95, P99, Max float64
}

// MachineDurations are the durations of a state machine in the last 7 days.
type MachineDurations struct {
	StateMachine string // ARN
	All          Duration
	Hours        []HourDurations // in which executions succeeded, the oldest first
}

// HourDurations are the durations of the executions that succeeded in one hour.
type HourDurations struct {
	Start time.Time
	Duration
}

// Failures has the failures of a window, by cause.
type Failures struct {
	Since, Until time.Time
	Bucket       time.Duration // of a trend
	Total        int64
	Other        int64   // of Total: in none of the groups
	Groups       []Group // the last seen first
}

// Group has the failures of a state machine with the same error and the same message
// without its variable parts. An execution counts once for each attempt that failed.
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

// Minute has the counters of a minute.
type Minute struct {
	Start                      time.Time
	Started, Succeeded, Failed int64
}

// Machine has the number of executions of a state machine that run now, and of those that
// ended in the last 24 hours.
type Machine struct {
	StateMachine               string // ARN
	Running, Succeeded, Failed int64
}
