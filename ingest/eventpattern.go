package ingest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// eventPattern is what a rule asks of an event, as far as we write it.
type eventPattern struct {
	Source     []string      `json:"source"`
	DetailType []string      `json:"detail-type"`
	Detail     patternDetail `json:"detail,omitzero"`
}

type patternDetail struct {
	StateMachineARN []jsontext.Value `json:"stateMachineArn,omitempty"`
}

// prefixOf matches a state machine and the children of its Distributed Maps, whose
// machine is called {machine}/{label}.
func prefixOf(machine string) jsontext.Value {
	text, _ := json.Marshal(map[string]string{"prefix": machine}) // texts can always be marshalled
	return text
}

// widenPattern returns a pattern that matches the events of the state machines and
// those that the present one, if any, matches. It changes nothing if the present
// one does.
func widenPattern(present string, machines []string) (pattern string, changed bool, err error) {
	listed, ours := presentMachines(present)
	if ours && listed == nil {
		return present, false, nil // every state machine
	}
	add := slices.DeleteFunc(slices.Clone(machines), func(machine string) bool { return covered(listed, machine) })
	if ours && len(add) == 0 {
		return present, false, nil
	}
	if present != "" && !aboutStatusChanges(present) {
		return "", false, errors.New("the rule is there and asks for other events too; choose another name with --name")
	}
	p := eventPattern{Source: []string{eventSource}, DetailType: []string{eventDetailType}}
	p.Detail.StateMachineARN = listed
	for _, machine := range add {
		p.Detail.StateMachineARN = append(p.Detail.StateMachineARN, prefixOf(machine))
	}
	if len(p.Detail.StateMachineARN) == 0 {
		return "", false, errors.New("no state machine")
	}
	text, err := json.Marshal(&p)
	if err != nil {
		return "", false, fmt.Errorf("write the event pattern: %w", err)
	}
	return string(text), true, nil
}

// presentMachines returns what a pattern asks of the state machine, and whether the
// pattern asks nothing else than ours does. A narrower one loses events.
func presentMachines(present string) (listed []jsontext.Value, ours bool) {
	var p eventPattern
	if json.Unmarshal([]byte(present), &p, json.RejectUnknownMembers(false)) != nil {
		return nil, false
	}
	ours = slices.Contains(p.Source, eventSource) && slices.Contains(p.DetailType, eventDetailType) &&
		json.Unmarshal([]byte(present), &eventPattern{}, json.RejectUnknownMembers(true)) == nil
	return p.Detail.StateMachineARN, ours
}

// aboutStatusChanges reports whether a pattern asks for our events and no others,
// though perhaps not for all of them.
func aboutStatusChanges(pattern string) bool {
	var p eventPattern
	return json.Unmarshal([]byte(pattern), &p) == nil &&
		slices.Equal(p.Source, []string{eventSource}) && slices.Equal(p.DetailType, []string{eventDetailType})
}

// covered reports whether a pattern's list matches a state machine and its children.
func covered(listed []jsontext.Value, machine string) bool {
	return slices.ContainsFunc(listed, func(v jsontext.Value) bool {
		var p struct {
			Prefix *string `json:"prefix"`
		}
		return json.Unmarshal(v, &p) == nil && p.Prefix != nil && strings.HasPrefix(machine, *p.Prefix)
	})
}

// sampleEvent is an event of an execution that never was.
func sampleEvent(machine string, child bool) string {
	parts := strings.SplitN(machine, ":", 7) // arn:aws:states:region:account:stateMachine:name
	if child {
		machine += "/Map"
	}
	execution := strings.Replace(machine, ":stateMachine:", ":execution:", 1) + ":doctor"
	text, _ := json.Marshal(map[string]any{ // texts can always be marshalled
		"version": "0", "id": "00000000-0000-0000-0000-000000000000",
		"source": eventSource, "detail-type": eventDetailType,
		"region": parts[3], "account": parts[4], "time": "2026-01-01T00:00:00Z", "resources": []string{execution},
		"detail": map[string]any{
			"executionArn": execution, "stateMachineArn": machine, "name": "doctor", "status": "RUNNING", "startDate": 1767225600000,
		},
	})
	return string(text)
}
