package localaws

import (
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxEventPayload is the greatest length of input and output in an event, where a quotation
// mark takes two bytes.
const maxEventPayload = 248 << 10

// statusEvent is an event in the envelope of EventBridge.
type statusEvent struct {
	Version    string       `json:"version"`
	ID         string       `json:"id"`
	DetailType string       `json:"detail-type"`
	Source     string       `json:"source"`
	Account    string       `json:"account"`
	Time       string       `json:"time"` // RFC 3339, UTC, whole seconds
	Region     string       `json:"region"`
	Resources  []string     `json:"resources"`
	Detail     statusDetail `json:"detail"`
}

// statusDetail has all its keys in every event; dates are in milliseconds.
type statusDetail struct {
	ExecutionARN           string    `json:"executionArn"`
	StateMachineARN        string    `json:"stateMachineArn"`
	Name                   string    `json:"name"`
	Status                 string    `json:"status"`
	StartDate              int64     `json:"startDate"`
	StopDate               *int64    `json:"stopDate"`
	Input                  *string   `json:"input"`
	Output                 *string   `json:"output"`
	StateMachineVersionARN *string   `json:"stateMachineVersionArn"`
	StateMachineAliasARN   *string   `json:"stateMachineAliasArn"`
	RedriveCount           int       `json:"redriveCount"`
	RedriveDate            *int64    `json:"redriveDate"`
	RedriveStatus          string    `json:"redriveStatus"`
	RedriveStatusReason    *string   `json:"redriveStatusReason"`
	InputDetails           *included `json:"inputDetails"`
	OutputDetails          *included `json:"outputDetails"`
	Error                  *string   `json:"error"`
	Cause                  *string   `json:"cause"`
}

type included struct {
	Included bool `json:"included"`
}

// event returns the event of Step Functions for a state.
func (e *ExecutionState) event() ([]byte, error) {
	at := e.StartDate
	for _, later := range []time.Time{e.RedriveDate, e.StopDate} {
		if later.After(at) {
			at = later
		}
	}
	status, reason := e.redriveStatus(at)
	event := statusEvent{
		Version: "0", ID: newID(), DetailType: "Step Functions Execution Status Change", Source: "aws.states",
		Account: account, Time: at.Format("2006-01-02T15:04:05Z"), Region: region, Resources: []string{e.ARN},
		Detail: statusDetail{
			ExecutionARN: e.ARN, StateMachineARN: e.StateMachineARN, Name: e.Name, Status: e.Status,
			StartDate: e.StartDate.UnixMilli(), StopDate: milliseconds(e.StopDate),
			RedriveCount: e.RedriveCount, RedriveDate: milliseconds(e.RedriveDate),
			RedriveStatus: status, RedriveStatusReason: reason,
			Error: orNull(e.Error), Cause: orNull(e.Cause),
		},
	}
	if err := event.Detail.fit(e.Input, orNull(e.Output)); err != nil {
		return nil, err
	}
	return json.Marshal(event)
}

// fit adds input and output if they fit.
func (d *statusDetail) fit(input string, output *string) error {
	d.InputDetails = &included{}
	left := maxEventPayload
	if output != nil {
		d.OutputDetails = &included{}
		size, err := escapedSize(*output)
		if err != nil {
			return err
		}
		if left -= size; size <= maxEventPayload {
			d.Output, d.OutputDetails.Included = output, true
		}
	}
	size, err := escapedSize(input)
	if err == nil && size <= left {
		d.Input, d.InputDetails.Included = &input, true
	}
	return err
}

// escapedSize is how many bytes a text takes inside a string of JSON.
func escapedSize(s string) (int, error) {
	quoted, err := jsontext.AppendQuote(nil, s)
	return len(quoted) - len(`""`), err
}

// milliseconds is a date as events write it, nil for none.
func milliseconds(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	return new(t.UnixMilli())
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
