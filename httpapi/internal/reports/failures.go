package reports

import (
	"context"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"statuscache/cache/stats"
	"statuscache/httpapi/internal/envelope"
)

// DefaultWindow is the window of failures for a request without one.
const DefaultWindow = "24h"

// Windows are the possible windows of failures, by name.
var Windows = map[string]time.Duration{"1h": time.Hour, DefaultWindow: 24 * time.Hour, "7d": 7 * 24 * time.Hour}

// Failures has the failures of a window, by cause.
type Failures struct {
	failureWindow
	failureTimes
	failureCounts
}

type failureWindow struct {
	Window string `json:"window"`
}

type failureTimes struct {
	Since string `json:"since"`
	Until string `json:"until"`
}

type failureCounts struct {
	BucketSeconds int64   `json:"bucketSeconds"`
	Total         int64   `json:"total"`
	Other         int64   `json:"other"`
	Groups        []group `json:"groups"`
}

type group struct {
	StateMachineARN string   `json:"stateMachineArn"`
	Error           string   `json:"error"`
	Message         string   `json:"message"`
	Count           int64    `json:"count"`
	Share           float64  `json:"share"`
	FirstSeen       string   `json:"firstSeen"`
	LastSeen        string   `json:"lastSeen"`
	Trend           []int64  `json:"trend"`
	Examples        []string `json:"examples"`
}

// FailuresReport makes the report about failures. window is the length of q.Window.
func FailuresReport(s Statistics, q Question, window time.Duration) Report {
	return func(ctx context.Context) (Encoded, error) {
		f, err := s.Failures(ctx, q.Scope, window, q.StateMachine)
		if err != nil {
			return Encoded{}, err
		}
		return NewFailures(q.Window, f, len(f.Groups)).Encode()
	}
}

// NewFailures returns the failures of a window, with at most the given number of groups.
// Failures of further groups count only in the total.
func NewFailures(window string, f stats.Failures, groups int) Failures {
	r := Failures{
		failureWindow{window},
		failureTimes{timeText(f.Since, time.RFC3339), timeText(f.Until, time.RFC3339)},
		failureCounts{int64(f.Bucket / time.Second), f.Total, f.Other, make([]group, 0, min(groups, len(f.Groups)))},
	}
	for _, g := range f.Groups[:min(groups, len(f.Groups))] {
		r.Groups = append(r.Groups, group{
			StateMachineARN: g.StateMachine, Error: g.Error, Message: g.Message, Count: g.Count, Share: rounded(g.Share),
			FirstSeen: timeText(g.FirstSeen, time.RFC3339), LastSeen: timeText(g.LastSeen, time.RFC3339),
			Trend: listed(g.Trend), Examples: listed(g.Examples),
		})
	}
	return r
}

// Encode returns the failures in JSON. They may be long, so they are encoded only once.
func (f Failures) Encode() (Encoded, error) {
	window, err := json.Marshal(f.failureWindow)
	if err != nil {
		return Encoded{}, err
	}
	times, err := json.Marshal(f.failureTimes)
	if err != nil {
		return Encoded{}, err
	}
	counts, err := json.Marshal(f.failureCounts)
	if err != nil {
		return Encoded{}, err
	}
	comma := []byte(",")
	body := slices.Concat([]byte(envelope.SuccessBegin), window[:len(window)-1], comma, times[1:len(times)-1], comma, counts[1:], []byte(envelope.SuccessEnd))
	return Encoded{Body: body, Timeless: [][]byte{window, counts}}, nil
}

// listed returns a list that is an array in JSON even if it is empty.
func listed[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}
