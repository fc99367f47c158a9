package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Kinds of differences between two answers.
const (
	onlyThere  = "known only to the other endpoint"
	onlyHere   = "known only to this service"
	refusals   = "errors"
	keysDiffer = "keys"
	outputs    = "output"
)

// differenceKinds are all kinds, in the order in which they are shown.
var differenceKinds = []string{onlyThere, onlyHere, refusals, "status", "startDate", "stopDate", outputs, "errorMessage", "executionArn", keysDiffer}

// compared are the keys whose values are compared.
var compared = []string{"status", "executionArn", "startDate", "stopDate", outputs, "errorMessage"}

// answered is the answer of a service about an execution.
type answered struct {
	fields  map[string]json.RawMessage // byte for byte
	refused string                     // status and code, if there are no fields
	unknown bool
}

type difference struct{ kind, other, this string }

func readAnswer(data json.RawMessage) (answered, error) {
	var a answered
	if err := json.Unmarshal(data, &a.fields); err != nil {
		return a, fmt.Errorf("unexpected answer: %w", err)
	}
	return a, nil
}

// summary is the answer in a word or two.
func (a answered) summary() string {
	if a.refused != "" {
		return a.refused
	}
	return raw(a.fields["status"])
}

// differences returns how the answer of this service differs from that of the other one.
func (a answered) differences(this answered) []difference {
	complete := func(kind string) []difference { return []difference{{kind, a.summary(), this.summary()}} }
	switch {
	case a.unknown && this.unknown:
		return nil
	case this.unknown && a.refused == "":
		return complete(onlyThere)
	case a.unknown && this.refused == "":
		return complete(onlyHere)
	case a.refused != this.refused:
		return complete(refusals)
	}
	var all []difference
	for _, key := range compared {
		before, there := a.fields[key]
		after, here := this.fields[key]
		if there && here && !bytes.Equal(before, after) {
			all = append(all, differenceOf(key, before, after))
		}
	}
	sameStatus := bytes.Equal(a.fields["status"], this.fields["status"]) // values with other keys
	if before, after := a.keys(), this.keys(); before != after && sameStatus {
		all = append(all, difference{keysDiffer, before, after})
	}
	return all
}

func (a answered) keys() string {
	return strings.Join(slices.Sorted(maps.Keys(a.fields)), ", ")
}

// How many bytes of a value are shown.
const (
	shownBefore = 20 // the first difference
	shownValue  = 80
)

// differenceOf shows two values, from shortly before the first difference.
func differenceOf(key string, before, after json.RawMessage) difference {
	at := 0
	for at < min(len(before), len(after)) && before[at] == after[at] {
		at++
	}
	from := max(0, at-shownBefore)
	return difference{key, excerpt(before, from), excerpt(after, from)}
}

// excerpt returns a part of a value on one line.
func excerpt(value []byte, from int) string {
	end := min(len(value), from+shownValue)
	text := strings.ToValidUTF8(string(value[from:end]), "�")
	text = strings.NewReplacer("\n", "⏎", "\r", "␍", "\t", "␉").Replace(text)
	if from > 0 {
		text = fmt.Sprintf("(byte %d) …%s", from, text)
	}
	if end < len(value) {
		text += "…"
	}
	return text
}
