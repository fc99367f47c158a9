package operate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"statuscache/cache"
	"statuscache/ingest/event"
	"statuscache/ingest/internal/awscall"
	"statuscache/ingest/internal/eventpattern"
)

// sampleKind is a kind of event that must reach the queue. A pattern may distinguish
// kinds by these fields.
type sampleKind struct {
	about    string
	status   string
	child    bool // of a Distributed Map
	redrives int
	leftOut  bool // input and output are too large
	version  bool // started through a version of the state machine
}

// statuses are the statuses that must reach the queue. PENDING_REDRIVE is not needed,
// because FAILED comes before it and RUNNING after it.
var statuses = append([]string{running}, terminalStatuses...)

const running = "RUNNING"

var terminalStatuses = []string{"SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"}

// sampleKinds are the kinds of one state machine.
func sampleKinds() (kinds []sampleKind) {
	for _, status := range statuses {
		kinds = append(kinds, sampleKind{about: status, status: status})
	}
	kinds = append(kinds,
		sampleKind{about: "RUNNING after a redrive", status: "RUNNING", redrives: 1},
		sampleKind{about: "FAILED after redrives", status: "FAILED", redrives: 2},
		sampleKind{about: "SUCCEEDED with an output left out", status: "SUCCEEDED", leftOut: true},
		sampleKind{about: "RUNNING through a version", status: "RUNNING", version: true},
	)
	for _, status := range statuses {
		kinds = append(kinds, sampleKind{about: status + " of Map children", status: status, child: true})
	}
	return append(kinds, sampleKind{about: "RUNNING of Map children after a redrive", status: "RUNNING", child: true, redrives: 1})
}

// sample is a made-up event.
type sample struct {
	sampleKind
	machine string // ARN
	event   any    // in the form of eventpattern
}

func samplesOf(machines []string) ([]sample, error) {
	var all []sample
	for _, machine := range machines {
		for _, kind := range sampleKinds() {
			event, err := eventpattern.Parse([]byte(kind.eventOf(cache.MachineARN(machine))))
			if err != nil {
				return nil, fmt.Errorf("an event of %s: %w", machine, err)
			}
			all = append(all, sample{kind, machine, event})
		}
	}
	return all, nil
}

// eventOf returns the event, with all the keys that AWS sends.
func (k sampleKind) eventOf(machine cache.MachineARN) string {
	const name, started = "3f0a6c1e-5d2b-4c8f-9e57-0d6f4c9a7b21", 1767225600000
	var version any
	if k.version {
		version = string(machine) + ":1"
	}
	if k.child {
		machine = machine.Child("Map")
	}
	execution := machine.Execution(name)
	detail := map[string]any{
		"executionArn": execution, "stateMachineArn": machine, "name": name, "status": k.status,
		"startDate": started, "stopDate": nil, "input": "{}", "inputDetails": map[string]bool{"included": !k.leftOut},
		"output": nil, "outputDetails": nil, "error": nil, "cause": nil, "stateMachineVersionArn": version, "stateMachineAliasArn": nil,
		"redriveCount": k.redrives, "redriveDate": nil, "redriveStatus": "NOT_REDRIVABLE", "redriveStatusReason": nil,
	}
	if k.redrives > 0 {
		detail["redriveDate"] = started + 60000
	}
	if k.leftOut {
		detail["input"] = nil
	}
	if k.status != "RUNNING" {
		detail["stopDate"] = started + 90000
	}
	switch k.status {
	case "SUCCEEDED":
		detail["outputDetails"] = map[string]bool{"included": !k.leftOut}
		if !k.leftOut {
			detail["output"] = "{}"
		}
	case "FAILED", "TIMED_OUT", "ABORTED":
		detail["redriveStatus"] = "REDRIVABLE"
	}
	if k.status == "FAILED" {
		detail["error"], detail["cause"] = "States.TaskFailed", "it failed"
	}
	text, _ := json.Marshal(map[string]any{ // strings and numbers can always be marshaled
		"version": "0", "id": "00000000-0000-0000-0000-000000000000",
		"source": event.Source, "detail-type": event.DetailType,
		"region": machine.Region(), "account": machine.Account(), "time": "2026-01-01T00:00:00Z", "resources": []cache.ARN{execution},
		"detail": detail,
	})
	return string(text)
}

// unmatched returns the samples that match none of the patterns.
func unmatched(patterns []string, samples []sample) ([]sample, error) {
	compiled := make([]*eventpattern.Pattern, len(patterns))
	for i, text := range patterns {
		var err error
		if compiled[i], err = eventpattern.Compile(text); err != nil {
			return nil, fmt.Errorf("cannot parse the event pattern %s: %w", awscall.Line(text), err)
		}
	}
	var left []sample
	for _, s := range samples {
		if !slices.ContainsFunc(compiled, func(p *eventpattern.Pattern) bool { return p.Matches(s.event) }) {
			left = append(left, s)
		}
	}
	return left, nil
}

// nameSamples describes the events of samples in a few words.
func nameSamples(samples []sample) string {
	machines := machinesOf(samples)
	first := slices.DeleteFunc(slices.Clone(samples), func(s sample) bool { return s.machine != machines[0] })
	var children, own []string
	for _, s := range first {
		if s.child {
			children = append(children, s.about)
		} else {
			own = append(own, s.about)
		}
	}
	total := len(sampleKinds())
	text := strings.Join(append(own, children...), ", ") + " of " + machines[0]
	switch {
	case len(first) == total:
		text = "the events of " + machines[0]
	case len(own) == 0 && len(children) == len(statuses)+1:
		text = "the events of " + machines[0] + "'s Map children"
	}
	if more := len(machines) - 1; more > 0 {
		text += fmt.Sprintf(" and events of %d other state machines", more)
	}
	return text
}

// machinesOf returns the state machines of samples, each once.
func machinesOf(samples []sample) (machines []string) {
	for _, s := range samples {
		if !slices.Contains(machines, s.machine) {
			machines = append(machines, s.machine)
		}
	}
	return machines
}
