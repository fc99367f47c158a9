package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"
)

// change is one step in the life of an execution.
type change struct {
	at       time.Time
	status   string
	redrives int
	redriven time.Time // zero: never
	stop     time.Time // zero while it runs
	output   []byte    // JSON
	oversize bool      // output and input are left out of the event
	error    any       // text or nil
	cause    any
}

// plots are the lives that can be asked for.
var plots = map[string]func(execution) []change{
	"succeeded": func(e execution) []change {
		stop := e.stopsAfter(3, 10)
		return []change{e.begins(), {at: stop, status: "SUCCEEDED", stop: stop, output: e.output(stop)}}
	},
	"failed": func(e execution) []change {
		return []change{e.begins(), e.fails(e.stopsAfter(3, 10))}
	},
	"timed_out": func(e execution) []change {
		stop := e.stopsAfter(8, 10)
		return []change{e.begins(), {at: stop, status: "TIMED_OUT", stop: stop}}
	},
	"redriven": func(e execution) []change {
		again, stop := e.stopsAfter(5, 6), e.stopsAfter(8, 10)
		return []change{
			e.begins(), e.fails(e.stopsAfter(3, 4)),
			{at: again, status: "RUNNING", redrives: 1, redriven: again},
			{at: stop, status: "SUCCEEDED", redrives: 1, redriven: again, stop: stop, output: e.output(stop)},
		}
	},
	"oversize": func(e execution) []change {
		stop := e.stopsAfter(3, 10)
		return []change{e.begins(), {at: stop, status: "SUCCEEDED", stop: stop, oversize: true}}
	},
}

// drawn returns the name of a plot by lot.
func drawn() string {
	switch n := rand.N(100); {
	case n < 80:
		return "succeeded"
	case n < 88:
		return "failed"
	case n < 92:
		return "timed_out"
	case n < 97:
		return "redriven"
	default:
		return "oversize"
	}
}

func (e execution) begins() change { return change{at: e.start, status: "RUNNING"} }

// fails is the way a Lambda function fails.
func (e execution) fails(stop time.Time) change {
	return change{
		at: stop, status: "FAILED", stop: stop, error: "TierLimitExceeded",
		cause: `{"errorMessage":"Monthly rule generation limit reached","errorType":"TierLimitExceeded","requestId":"` + newID() + `","stackTrace":["  File \"/var/task/handler.py\", line 41, in handler\n"]}`,
	}
}

// stopsAfter returns a moment between two numbers of seconds after the start.
func (e execution) stopsAfter(least, most int) time.Time {
	span := time.Duration(most-least) * time.Second
	return e.start.Add(time.Duration(least)*time.Second + rand.N(span).Truncate(time.Millisecond))
}

// output is shaped like the one of the public API.
func (e execution) output(stop time.Time) []byte {
	type object = map[string]any
	var rules []object
	for i := range 1 + rand.N(5) {
		rules = append(rules, object{
			"id": newID(), "title": fmt.Sprintf("Suspicious AssumeRole from an unknown network, variant %d", i+1),
			"level": []string{"low", "medium", "high", "critical"}[rand.N(4)], "format": "sigma",
			"rule": "title: Suspicious AssumeRole\nlogsource:\n  product: aws\n  service: cloudtrail\ndetection:\n  selection:\n    eventName: AssumeRole\n  condition: selection\n",
		})
	}
	text, err := json.Marshal(object{
		"rules":           rules,
		"ttps":            []object{{"id": "T1078.004", "name": "Valid Accounts: Cloud Accounts", "tactic": "Initial Access"}},
		"iocs":            []object{{"type": "ipv4", "value": "203.0.113.7"}, {"type": "domain", "value": "login.example.net"}},
		"detectionGaps":   []string{"S3 data events are not logged"},
		"pipelineNotices": []string{},
		"metadata":        object{"inputType": e.inputType, "rulesGenerated": len(rules), "durationMs": stop.Sub(e.start).Milliseconds()},
	})
	if err != nil {
		return []byte("{}") // there is nothing in it that could not be encoded
	}
	return text
}

// event returns the message that AWS would send about a change (EVENTS.md §1).
func (e execution) event(c change) []byte {
	included := map[string]bool{"included": true}
	var input, output, outputDetails any = string(e.input), nil, nil
	inputDetails := included
	if c.output != nil {
		output, outputDetails = string(c.output), included
	}
	if c.oversize {
		leftOut := map[string]bool{"included": false}
		input, inputDetails, outputDetails = nil, leftOut, leftOut
	}
	redriveStatus := "NOT_REDRIVABLE"
	if c.status == "FAILED" || c.status == "TIMED_OUT" {
		redriveStatus = "REDRIVABLE"
	}
	text, err := json.Marshal(map[string]any{
		"version": "0", "id": newID(), "detail-type": "Step Functions Execution Status Change", "source": "aws.states",
		"account": "123456789012", "time": c.at.UTC().Format(time.RFC3339), "region": region, "resources": []string{string(e.arn)},
		"detail": map[string]any{
			"executionArn": e.arn, "stateMachineArn": stateMachine, "name": e.arn.Name(), "status": c.status,
			"startDate": e.start.UnixMilli(), "stopDate": milli(c.stop),
			"input": input, "inputDetails": inputDetails, "output": output, "outputDetails": outputDetails,
			"stateMachineVersionArn": nil, "stateMachineAliasArn": nil,
			"redriveCount": c.redrives, "redriveDate": milli(c.redriven), "redriveStatus": redriveStatus, "redriveStatusReason": nil,
			"error": c.error, "cause": c.cause,
		},
	})
	if err != nil {
		return nil // there is nothing in it that could not be encoded
	}
	return text
}

// milli is a date as events write it: null for none.
func milli(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}
