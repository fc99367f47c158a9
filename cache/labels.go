package cache

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"statuscache/cache/internal/record"
)

// Labels are values by which callers find their executions, by name. They are registers,
// like the owner: they are set once, and a registration takes precedence over the input.
type Labels map[string]string

// Bounds of labels.
const (
	MaxLabels     = 4   // of one input or registration
	MaxLabelName  = 64  // bytes
	MaxLabelValue = 128 // bytes

	maxLabelsKept   = 2 * MaxLabels // of an execution
	maxLabelsLength = maxLabelsKept * (labelHeadLength + MaxLabelName + MaxLabelValue)
)

// ValidLabelName reports whether s can be the name of a label: 1 to 64 letters, digits,
// dots, hyphens and underscores, all ASCII.
func ValidLabelName(s string) bool {
	return s != "" && len(s) <= MaxLabelName && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
	})
}

// ValidLabelValue reports whether s can be the value of a label: 1 to 128 bytes of UTF-8
// without control characters.
func ValidLabelValue(s string) bool {
	return s != "" && len(s) <= MaxLabelValue && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// In a record and in the arguments of apply.lua, labels follow each other in the order of
// their names. labels.lua joins them. Each label is
//
//	rank of its source 1 | length of the name 2 digits | length of the value 3 digits | name | value
const (
	labelNameDigits  = 2
	labelValueDigits = 3
	labelHeadLength  = 1 + labelNameDigits + labelValueDigits
)

// encode returns the stored form of labels. rank is how they became known, as for owners.
func (l Labels) encode(rank byte) string {
	var b []byte
	for _, name := range slices.Sorted(maps.Keys(l)) {
		b = record.AppendDigits(append(b, rank), int64(len(name)), labelNameDigits)
		b = record.AppendDigits(b, int64(len(l[name])), labelValueDigits)
		b = append(append(b, name...), l[name]...)
	}
	return string(b)
}

// storedLabels are labels in their stored form.
type storedLabels string

// cut returns the first label and what follows it. ok is false at the end, and where the
// text is damaged.
func (s storedLabels) cut() (name, value string, rest storedLabels, ok bool) {
	if len(s) < labelHeadLength {
		return "", "", "", false
	}
	n, err1 := strconv.Atoi(string(s[1 : 1+labelNameDigits]))
	v, err2 := strconv.Atoi(string(s[1+labelNameDigits : labelHeadLength]))
	if err1 != nil || err2 != nil || n < 0 || v < 0 || len(s) < labelHeadLength+n+v {
		return "", "", "", false
	}
	s = s[labelHeadLength:]
	return string(s[:n]), string(s[n : n+v]), s[n+v:], true
}

// all returns the labels in the order of their names.
func (s storedLabels) all(yield func(name, value string) bool) {
	for {
		name, value, rest, ok := s.cut()
		if !ok || !yield(name, value) {
			return
		}
		s = rest
	}
}

// check returns an error if the text is not that of labels.
func (s storedLabels) check() error {
	for s != "" {
		_, _, rest, ok := s.cut()
		if !ok {
			return fmt.Errorf("labels of the record are damaged")
		}
		s = rest
	}
	return nil
}

// Labels returns the labels of the execution, nil if it has none.
func (r *Record) Labels() Labels {
	if r.labels == "" {
		return nil
	}
	return maps.Collect(r.labels.all)
}

// AppendMember appends the member labels of an answer, with a comma before it, or nothing
// if there are no labels.
func (l Labels) AppendMember(b []byte) []byte {
	return storedLabels(l.encode(ownerUnknown)).appendMember(b)
}

// appendMember is AppendMember for stored labels.
func (s storedLabels) appendMember(b []byte) []byte {
	if s == "" {
		return b
	}
	b = append(b, `,"labels":`...)
	separator := byte('{')
	for name, value := range s.all {
		b = appendString(append(b, separator), name)
		b = appendString(append(b, ':'), value)
		separator = ','
	}
	return append(b, '}')
}

// have reports whether there is a label with this value and name; an empty name means any.
func (s storedLabels) have(wanted, value string) bool {
	for name, v := range s.all {
		if v == value && (wanted == "" || wanted == name) {
			return true
		}
	}
	return false
}
