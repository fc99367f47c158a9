package cache

import (
	"maps"
	"slices"
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
	maxLabelsLength = maxLabelsKept * (record.LabelHead + MaxLabelName + MaxLabelValue)
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

// encode returns the stored form of labels. rank is how they became known, as for owners.
func (l Labels) encode(rank byte) string {
	var b []byte
	for _, name := range slices.Sorted(maps.Keys(l)) {
		b = record.AppendDigits(append(b, rank), int64(len(name)), record.LabelNameDigits)
		b = record.AppendDigits(b, int64(len(l[name])), record.LabelValueDigits)
		b = append(append(b, name...), l[name]...)
	}
	return string(b)
}

// Labels returns the labels of the execution, nil if it has none.
func (r *Record) Labels() Labels {
	if r.labels == "" {
		return nil
	}
	return maps.Collect(r.labels.All)
}

// AppendMember appends the member labels of an answer, with a comma before it, or nothing
// if there are no labels.
func (l Labels) AppendMember(b []byte) []byte {
	return appendLabels(b, record.Labels(l.encode(ownerUnknown)))
}

// appendLabels is AppendMember for stored labels.
func appendLabels(b []byte, s record.Labels) []byte {
	if s == "" {
		return b
	}
	b = append(b, `,"labels":`...)
	separator := byte('{')
	for name, value := range s.All {
		b = appendString(append(b, separator), name)
		b = appendString(append(b, ':'), value)
		separator = ','
	}
	return append(b, '}')
}
