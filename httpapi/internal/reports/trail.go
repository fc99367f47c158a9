package reports

import (
	"time"

	"statuscache/cache"
)

// Trail has the observations that explain the status of an execution.
type Trail struct {
	ExecutionARN    cache.ARN     `json:"executionArn"`
	ExecutionStatus cache.Status  `json:"executionStatus,omitempty"`
	Version         cache.Version `json:"version,omitempty"`
	Owner           string        `json:"owner,omitempty"`
	KeptSeconds     int64         `json:"keptSeconds,omitempty"` // until it is removed
	Observations    []observation `json:"observations"`
}

// observation is one report about the execution, and its result.
type observation struct {
	SeenAt     string        `json:"seenAt"`
	Source     cache.Source  `json:"source"`
	Status     cache.Status  `json:"status"`
	Attempt    int           `json:"attempt"`
	Changed    bool          `json:"changed"`
	Verdict    cache.Verdict `json:"verdict"`
	Version    cache.Version `json:"version"`
	EventID    string        `json:"eventId,omitempty"`
	EmittedAt  string        `json:"emittedAt,omitempty"`
	ReceivedAt string        `json:"receivedAt,omitempty"`
}

// NewTrail returns the trail of an execution, from an explanation.
func NewTrail(arn cache.ARN, x cache.Explanation) Trail {
	t := Trail{ExecutionARN: arn, Observations: []observation{}}
	if r := x.Record; r != nil {
		t.ExecutionStatus, t.Version, t.Owner = r.Status, x.Exact, r.Owner
		t.KeptSeconds = int64(x.Expiry / time.Second)
	}
	for _, o := range x.Trail {
		t.Observations = append(t.Observations, observation{
			SeenAt: timeText(o.AppliedAt, milliseconds), Source: o.Source, Status: o.Version.Status(), Attempt: o.Version.RedriveCount() + 1,
			Changed: o.Verdict == cache.Applied, Verdict: o.Verdict, Version: o.Version,
			EventID: o.EventID, EmittedAt: timeText(o.EmittedAt, time.RFC3339), ReceivedAt: timeText(o.ReceivedAt, milliseconds),
		})
	}
	return t
}

const milliseconds = "2006-01-02T15:04:05.000Z"

// timeText returns a time in UTC, nothing for none.
func timeText(t time.Time, form string) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(form)
}
