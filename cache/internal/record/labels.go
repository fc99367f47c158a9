package record

import (
	"errors"
	"strconv"
)

// In a record and in the arguments of the scripts, labels follow each other in the order of
// their names. labels.lua joins them. Each label is
//
//	rank of its source 1 | length of the name 2 digits | length of the value 3 digits | name | value
const (
	LabelNameDigits  = 2
	LabelValueDigits = 3
	LabelHead        = 1 + LabelNameDigits + LabelValueDigits
)

// Labels are labels in their stored form.
type Labels string

// Cut returns the first label and what follows it. ok is false at the end, and where the
// text is damaged.
func (s Labels) Cut() (name, value string, rest Labels, ok bool) {
	if len(s) < LabelHead {
		return "", "", "", false
	}
	n, err1 := strconv.Atoi(string(s[1 : 1+LabelNameDigits]))
	v, err2 := strconv.Atoi(string(s[1+LabelNameDigits : LabelHead]))
	if err1 != nil || err2 != nil || n < 0 || v < 0 || len(s) < LabelHead+n+v {
		return "", "", "", false
	}
	s = s[LabelHead:]
	return string(s[:n]), string(s[n : n+v]), s[n+v:], true
}

// All returns the labels in the order of their names.
func (s Labels) All(yield func(name, value string) bool) {
	for {
		name, value, rest, ok := s.Cut()
		if !ok || !yield(name, value) {
			return
		}
		s = rest
	}
}

// Check returns an error if the text is not that of labels.
func (s Labels) Check() error {
	for s != "" {
		_, _, rest, ok := s.Cut()
		if !ok {
			return errors.New("labels of the record are damaged")
		}
		s = rest
	}
	return nil
}

// Have reports whether there is a label with this value and name; an empty name means any.
func (s Labels) Have(wanted, value string) bool {
	for name, v := range s.All {
		if v == value && (wanted == "" || wanted == name) {
			return true
		}
	}
	return false
}
