package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"
)

// Failures has the failures of a time window, by cause.
type Failures struct {
	Window        string         `json:"window"`
	Since         time.Time      `json:"since"`
	Until         time.Time      `json:"until"`
	BucketSeconds int            `json:"bucketSeconds"` // of a trend
	Total         int64          `json:"total"`
	Other         int64          `json:"other"` // of Total: in none of the groups
	Groups        []FailureGroup `json:"groups"`

	Raw json.RawMessage `json:"-"` // the whole answer, byte for byte
}

// FailureGroup has the failures of a state machine with the same cause.
type FailureGroup struct {
	StateMachineARN string    `json:"stateMachineArn"`
	Error           string    `json:"error"`   // name
	Message         string    `json:"message"` // without its variable parts
	Count           int64     `json:"count"`
	Share           float64   `json:"share"` // of all failures, 0 to 1
	FirstSeen       time.Time `json:"firstSeen"`
	LastSeen        time.Time `json:"lastSeen"`
	Trend           []int64   `json:"trend"`    // by bucket, the oldest first
	Examples        []string  `json:"examples"` // ARNs of executions
}

// Durations has the durations of the succeeded executions of a state machine, in seconds.
type Durations struct {
	StateMachineARN string `json:"stateMachineArn"`
	DurationFigures
	Hours []struct {
		Start time.Time `json:"start"`
		DurationFigures
	} `json:"hours"` // in which they ended, the oldest first

	Raw json.RawMessage `json:"-"` // the whole answer, byte for byte
}

// DurationFigures describe how long executions took, in seconds.
type DurationFigures struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50"`
	P95   float64 `json:"p95"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

// Failures returns the failures in a window, 1h, 24h or 7d, of a state machine, or with an
// empty ARN of all.
func (c *Client) Failures(ctx context.Context, window, stateMachineARN string) (*Failures, error) {
	data, err := c.ask(ctx, "/v1/failures", map[string]string{"window": window, "stateMachineArn": stateMachineARN})
	if err != nil {
		return nil, err
	}
	f := &Failures{Raw: data}
	if err := json.Unmarshal(data, f); err != nil {
		return nil, fmt.Errorf("unexpected answer: %w", err)
	}
	return f, nil
}

// Durations returns the durations of the executions of a state machine, or, with an empty
// ARN, of every state machine.
func (c *Client) Durations(ctx context.Context, stateMachineARN string) ([]Durations, error) {
	data, err := c.ask(ctx, "/v1/durations", map[string]string{"stateMachineArn": stateMachineARN})
	if err != nil {
		return nil, err
	}
	var got struct{ Machines []json.RawMessage }
	if err := json.Unmarshal(data, &got); err != nil {
		return nil, fmt.Errorf("unexpected answer: %w", err)
	}
	all := make([]Durations, len(got.Machines))
	for i, text := range got.Machines {
		if err := json.Unmarshal(text, &all[i]); err != nil {
			return nil, fmt.Errorf("unexpected answer: %w", err)
		}
		all[i].Raw = text
	}
	return all, nil
}

// ask requests a report, with the parameters that are not empty.
func (c *Client) ask(ctx context.Context, path string, parameters map[string]string) (json.RawMessage, error) {
	values := url.Values{}
	for name, value := range parameters {
		if value != "" {
			values.Set(name, value)
		}
	}
	if len(values) > 0 {
		path += "?" + values.Encode()
	}
	a, err := c.persist(ctx, call{path: path})
	if err != nil {
		return nil, err
	}
	return a.data, nil
}
