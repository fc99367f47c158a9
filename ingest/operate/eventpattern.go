package operate

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"statuscache/ingest/event"
)

// eventPattern is an event pattern in the form that Provision writes.
type eventPattern struct {
	Source     []string      `json:"source"`
	DetailType []string      `json:"detail-type"`
	Detail     patternDetail `json:"detail,omitzero"`
}

type patternDetail struct {
	Status          []string         `json:"status,omitempty"`
	StateMachineARN []jsontext.Value `json:"stateMachineArn,omitempty"`
}

// prefixOf matches a state machine and the children of its Distributed Maps, whose state
// machine is {machine}/{label}.
func prefixOf(machine string) jsontext.Value {
	text, _ := json.Marshal(map[string]string{"prefix": machine}) // strings can always be marshaled
	return text
}

// patternFor returns the pattern that matches the events of state machines with one of
// the statuses, or all if none is given.
func patternFor(machines []string, statuses ...string) string {
	return writePattern(patternDetail{statuses, prefixesOf(machines)})
}

// patternOf returns the pattern that matches the events of samples. It matches no other
// status, because other rules send those.
func patternOf(samples []sample) string {
	detail := patternDetail{StateMachineARN: prefixesOf(machinesOf(samples))}
	if wanted := statusesOf(samples); len(wanted) < len(statuses) {
		detail.Status = wanted
	}
	return writePattern(detail)
}

func writePattern(detail patternDetail) string {
	text, _ := json.Marshal(&eventPattern{[]string{event.Source}, []string{event.DetailType}, detail}) // it cannot fail
	return string(text)
}

func prefixesOf(machines []string) (prefixes []jsontext.Value) {
	for _, machine := range machines {
		prefixes = append(prefixes, prefixOf(machine))
	}
	return prefixes
}

func statusesOf(samples []sample) (all []string) {
	for _, s := range samples {
		if !slices.Contains(all, s.status) {
			all = append(all, s.status)
		}
	}
	return all
}

// widen returns a pattern that matches what the current one matches, and the missing samples.
// It keeps as many conditions as possible in a pattern of others, but only the state machine in
// our pattern.
func widen(present string, missing []sample, ours bool) (string, error) {
	everyStatus := func(present string, missing []sample) (string, error) { return onlyMachines(present, missing) }
	steps := []func(string, []sample) (string, error){addStatuses, addMachines, addBoth, everyStatus}
	if ours {
		steps = steps[len(steps)-1:]
	}
	for _, step := range steps {
		text, err := step(present, missing)
		if err != nil {
			return "", err
		}
		if left, err := unmatched([]string{text}, missing); err != nil || len(left) == 0 {
			return text, err
		}
	}
	return "", errors.New("its event pattern cannot be widened")
}

func addStatuses(present string, missing []sample) (string, error) {
	return editDetail(present, "status", func(list []jsontext.Value) []jsontext.Value {
		for _, status := range statusesOf(missing) {
			list = addOnce(list, jsontext.Value(`"`+status+`"`))
		}
		return list
	})
}

func addMachines(present string, missing []sample) (string, error) {
	return editDetail(present, "stateMachineArn", func(list []jsontext.Value) []jsontext.Value {
		for _, prefix := range prefixesOf(machinesOf(missing)) {
			list = addOnce(list, prefix)
		}
		return list
	})
}

func addBoth(present string, missing []sample) (string, error) {
	text, err := addStatuses(present, missing)
	if err != nil {
		return "", err
	}
	return addMachines(text, missing)
}

// onlyMachines drops every condition except that on the state machine and, if statuses
// are given, on the status.
func onlyMachines(present string, missing []sample, statuses ...string) (string, error) {
	var p struct {
		Source     []string `json:"source"`
		DetailType []string `json:"detail-type"`
		Detail     struct {
			StateMachineARN []jsontext.Value `json:"stateMachineArn"`
		} `json:"detail"`
	}
	if json.Unmarshal([]byte(present), &p) != nil ||
		!slices.Equal(p.Source, []string{event.Source}) || !slices.Equal(p.DetailType, []string{event.DetailType}) {
		return "", errors.New("it matches other events too")
	}
	listed := p.Detail.StateMachineARN
	if len(listed) == 0 { // all of them, up to now
		return writePattern(patternDetail{Status: statuses}), nil
	}
	for _, prefix := range prefixesOf(machinesOf(missing)) {
		listed = addOnce(listed, prefix)
	}
	return writePattern(patternDetail{statuses, listed}), nil
}

func addOnce(list []jsontext.Value, item jsontext.Value) []jsontext.Value {
	if slices.ContainsFunc(list, func(have jsontext.Value) bool { return string(have) == string(item) }) {
		return list
	}
	return append(list, item)
}

// editDetail changes the list of one field of detail, and nothing else. Without that
// field nothing changes.
func editDetail(pattern, field string, edit func([]jsontext.Value) []jsontext.Value) (string, error) {
	text, err := editMember([]byte(pattern), "detail", func(detail jsontext.Value) (jsontext.Value, error) {
		return editMember(detail, field, func(v jsontext.Value) (jsontext.Value, error) {
			var list []jsontext.Value
			if err := json.Unmarshal(v, &list); err != nil {
				return nil, fmt.Errorf("detail.%s: %w", field, err)
			}
			edited, err := json.Marshal(edit(list))
			return edited, err
		})
	})
	return string(text), err
}

// editMember changes the value of one member of an object. The order of the members does
// not change.
func editMember(object jsontext.Value, name string, edit func(jsontext.Value) (jsontext.Value, error)) (jsontext.Value, error) {
	in := jsontext.NewDecoder(bytes.NewReader(object))
	if t, err := in.ReadToken(); err != nil || t.Kind() != '{' {
		return nil, errors.New("the event pattern is not an object")
	}
	var members []string
	for in.PeekKind() != '}' {
		key, err := in.ReadValue()
		if err != nil {
			return nil, err
		}
		text := string(key)
		value, err := in.ReadValue()
		if err != nil {
			return nil, err
		}
		if text == `"`+name+`"` {
			if value, err = edit(value.Clone()); err != nil {
				return nil, err
			}
		}
		members = append(members, text+":"+string(value))
	}
	return jsontext.Value("{" + strings.Join(members, ",") + "}"), nil
}
