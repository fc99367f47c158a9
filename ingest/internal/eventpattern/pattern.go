// Package eventpattern matches events against EventBridge patterns, with all comparisons
// that AWS documents. Numbers are compared as text unless the comparison is numeric.
// Fields in an array of objects must match in the same object. An empty array in an event
// counts as absent.
package eventpattern

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const maxBytes = 4096

// Pattern selects the events of a rule. An event matches if every field of the pattern
// matches.
type Pattern struct {
	fields map[string]field
	either [][]*Pattern // $or: in each group, one pattern must match
}

// field is the condition for one field of an event: an object that matches a pattern, or
// a value that passes one of the tests.
type field struct {
	object *Pattern
	tests  []test
}

// test reports whether one value passes. The value is absent, nil, a bool, a string or a
// number, never an array or an object.
type test func(value any) bool

// absent represents a value that the event does not have.
type absent struct{}

// numeral is the text of a number: a pattern of 300 does not match 300.0.
type numeral string

func (n numeral) float() float64 {
	f, _ := strconv.ParseFloat(string(n), 64) // a number that is out of range counts as infinite
	return f
}

// Compile reads a pattern. Its errors say what is wrong with it.
func Compile(text string) (*Pattern, error) {
	if len(text) > maxBytes {
		return nil, fmt.Errorf("it is longer than %d bytes", maxBytes)
	}
	tree, err := Parse([]byte(text))
	if err != nil {
		return nil, err
	}
	object, is := tree.(map[string]any)
	if !is {
		return nil, errors.New("it is not an object")
	}
	return compileObject(object)
}

// Parse reads JSON, such as an event, and keeps the text of numbers.
func Parse(text []byte) (any, error) {
	var tree any
	err := json.Unmarshal(text, &tree, json.WithUnmarshalers(json.UnmarshalFromFunc(
		func(in *jsontext.Decoder, out *any) error {
			if in.PeekKind() != '0' {
				return errors.ErrUnsupported
			}
			text, err := in.ReadValue()
			*out = numeral(text)
			return err
		})))
	return tree, err
}

func compileObject(object map[string]any) (*Pattern, error) {
	if len(object) == 0 {
		return nil, errors.New("an empty object matches nothing")
	}
	p := &Pattern{fields: map[string]field{}}
	for name, value := range object {
		var err error
		if name == "$or" {
			err = p.compileOr(value)
		} else {
			p.fields[name], err = compileField(value)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return p, nil
}

func (p *Pattern) compileOr(value any) error {
	list, _ := value.([]any)
	if len(list) < 2 {
		return errors.New("must be a list of at least two patterns")
	}
	var group []*Pattern
	for _, item := range list {
		object, _ := item.(map[string]any)
		one, err := compileObject(object)
		if err != nil {
			return err
		}
		group = append(group, one)
	}
	p.either = append(p.either, group)
	return nil
}

func compileField(value any) (field, error) {
	switch value := value.(type) {
	case map[string]any:
		object, err := compileObject(value)
		return field{object: object}, err
	case []any:
		tests, err := compileAll(value, compileTest)
		return field{tests: tests}, err
	default:
		return field{}, errors.New("must be an object or a list")
	}
}

// compileAll compiles each item of a list that must not be empty.
func compileAll(list []any, compile func(any) (test, error)) ([]test, error) {
	if len(list) == 0 {
		return nil, errors.New("an empty list matches nothing")
	}
	var tests []test
	for _, item := range list {
		t, err := compile(item)
		if err != nil {
			return nil, err
		}
		tests = append(tests, t)
	}
	return tests, nil
}

// Matches reports whether an event, as returned by Parse, matches.
func (p *Pattern) Matches(value any) bool {
	if list, is := value.([]any); is && len(list) > 0 {
		return slices.ContainsFunc(list, p.Matches)
	}
	object, _ := value.(map[string]any) // anything else has no fields
	for name, f := range p.fields {
		child, has := object[name]
		if !has {
			child = absent{}
		}
		if !f.matches(child) {
			return false
		}
	}
	for _, group := range p.either {
		if !slices.ContainsFunc(group, func(one *Pattern) bool { return one.Matches(value) }) {
			return false
		}
	}
	return true
}

func (f field) matches(value any) bool {
	if f.object != nil {
		return f.object.Matches(value)
	}
	switch v := value.(type) {
	case []any:
		if len(v) > 0 {
			return slices.ContainsFunc(v, f.matches)
		}
		value = absent{}
	case map[string]any:
		value = absent{} // only leaves exist for a test
	}
	return passesAny(f.tests, value)
}

func passesAny(tests []test, value any) bool {
	return slices.ContainsFunc(tests, func(t test) bool { return t(value) })
}
