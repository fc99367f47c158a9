package intake

import (
	"time"
)

// Report is the report of one process.
type Report struct {
	At     time.Time        `json:"at"` // by the clock of Redis
	Queue  *Queue           `json:"queue,omitempty"`
	Ages   *Ages            `json:"ages,omitempty"`    // nil: the process has not applied an event yet
	Repair map[string]int64 `json:"repairs,omitempty"` // since the process started, by the ARN of a state machine
}

// Queue describes the waiting messages.
type Queue struct {
	At    time.Time `json:"at"`    // by the clock of Redis
	Depth int64     `json:"depth"` // approximate number of messages
	// Oldest is approximately how long the oldest of them has waited; nil: not known.
	Oldest *time.Duration `json:"oldest,omitempty"`
	// DeadLetters is the approximate number of messages in the dead-letter queue; nil: not known.
	DeadLetters *int64 `json:"deadLetters,omitempty"`
}

// Ages are the ages of events when they were applied.
type Ages struct {
	P50 time.Duration `json:"p50"`
	P99 time.Duration `json:"p99"`
	Max time.Duration `json:"max"`
}

// summary combines the reports of all processes.
type summary struct {
	queue   *Queue
	ages    *Ages
	repairs map[string]int64
}

// summarize takes the latest report about the queue, the ages of the slowest process, and
// the sum of all repairs.
func summarize(reports []Report) summary {
	s := summary{repairs: map[string]int64{}}
	for _, r := range reports {
		if r.Queue != nil && (s.queue == nil || r.Queue.At.After(s.queue.At)) {
			s.queue = r.Queue
		}
		if r.Ages != nil {
			s.ages = slowest(s.ages, r.Ages)
		}
		for machine, n := range r.Repair {
			s.repairs[machine] += n
		}
	}
	return s
}

func slowest(a, b *Ages) *Ages {
	if a == nil {
		return b
	}
	return &Ages{P50: max(a.P50, b.P50), P99: max(a.P99, b.P99), Max: max(a.Max, b.Max)}
}
