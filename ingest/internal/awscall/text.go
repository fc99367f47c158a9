package awscall

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText is how many characters of an AWS text a message may contain.
const maxText = 256

// Line shortens a text for a message: to one line of at most 256 characters.
func Line(s string) string { return Clip(OneLine(s), maxText) }

// OneLine turns white space and control characters into single spaces.
func OneLine(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\uFFFD"), isBreak), " ")
}

// isBreak reports whether a character is not allowed in a printed line: white space,
// control characters, and marks that change the text direction or break the line.
func isBreak(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || r == '\u2028' || r == '\u2029' ||
		r >= '\u202A' && r <= '\u202E' || r >= '\u2066' && r <= '\u2069'
}

// Clip returns the first n characters of s.
func Clip(s string, n int) string {
	if len(s) <= n || utf8.RuneCountInString(s) <= n {
		return s
	}
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}
