package localaws

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

type (
	startExecutionRequest struct {
		StateMachineARN string `json:"stateMachineArn"`
		Name            string `json:"name"`
		Input           string `json:"input"`
	}
	executionRequest struct {
		ExecutionARN string `json:"executionArn"`
	}
	stopExecutionRequest struct {
		ExecutionARN string `json:"executionArn"`
		Error        string `json:"error"`
		Cause        string `json:"cause"`
	}
	redriveExecutionRequest struct {
		ExecutionARN string `json:"executionArn"`
		ClientToken  string `json:"clientToken"`
	}
	listExecutionsRequest struct {
		StateMachineARN string `json:"stateMachineArn"`
		StatusFilter    string `json:"statusFilter"`
		RedriveFilter   string `json:"redriveFilter"`
		MaxResults      int    `json:"maxResults"`
		NextToken       string `json:"nextToken"`
	}
	stateMachineRequest struct {
		StateMachineARN string `json:"stateMachineArn"`
	}
	listStateMachinesRequest struct{}

	startedResult struct {
		ExecutionARN string `json:"executionArn"`
		StartDate    date   `json:"startDate"`
	}
	stoppedResult struct {
		StopDate date `json:"stopDate"`
	}
	redrivenResult struct {
		RedriveDate date `json:"redriveDate"`
	}
	listedExecution struct {
		ExecutionARN    string `json:"executionArn"`
		StateMachineARN string `json:"stateMachineArn"`
		Name            string `json:"name"`
		Status          string `json:"status"`
		StartDate       date   `json:"startDate"`
		StopDate        date   `json:"stopDate,omitzero"`
		RedriveCount    int    `json:"redriveCount"`
		RedriveDate     date   `json:"redriveDate,omitzero"`
	}
	executionsResult struct {
		Executions []listedExecution `json:"executions"`
		NextToken  string            `json:"nextToken,omitzero"`
	}
	executionResult struct {
		listedExecution
		Input               string    `json:"input"`
		InputDetails        included  `json:"inputDetails"`
		Output              *string   `json:"output"`
		OutputDetails       *included `json:"outputDetails"`
		Error               *string   `json:"error"`
		Cause               *string   `json:"cause"`
		RedriveStatus       string    `json:"redriveStatus"`
		RedriveStatusReason *string   `json:"redriveStatusReason"`
	}
	listedMachine struct {
		StateMachineARN string `json:"stateMachineArn"`
		Name            string `json:"name"`
		Type            string `json:"type"`
		CreationDate    date   `json:"creationDate"`
	}
	machinesResult struct {
		StateMachines []listedMachine `json:"stateMachines"`
	}
	machineResult struct {
		listedMachine
		Status     string `json:"status"`
		Definition string `json:"definition"`
		RoleARN    string `json:"roleArn"`
	}
)

var stateActions = map[string]action{
	"StartExecution":       throttled("StartExecution", decoded((*Server).startExecution)),
	"DescribeExecution":    throttled("DescribeExecution", decoded((*Server).describeExecution)),
	"ListExecutions":       throttled("ListExecutions", decoded((*Server).listExecutions)),
	"StopExecution":        throttled("StopExecution", decoded((*Server).stopExecution)),
	"RedriveExecution":     throttled("RedriveExecution", decoded((*Server).redriveExecution)),
	"DescribeStateMachine": throttled("DescribeStateMachine", decoded((*Server).describeStateMachine)),
	"ListStateMachines":    throttled("ListStateMachines", decoded((*Server).listStateMachines)),
}

// date is written in the form of the protocol: seconds since 1970 with three decimals.
type date struct{ time.Time }

// MarshalJSONTo writes the date.
func (d date) MarshalJSONTo(to *jsontext.Encoder) error {
	ms := d.UnixMilli()
	return to.WriteValue(fmt.Appendf(nil, "%d.%03d", ms/1000, ms%1000))
}
