package tally

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"time"
	"unicode/utf8"
)

// Maximum lengths of an error name, a message and a template, in bytes.
const (
	MaxError    = 256
	MaxTemplate = 256
	maxMessage  = 4 << 10 // of the part that is examined
	maxQuoted   = 512     // between two quotes
)

// MaxGroups is the maximum number of groups for the failures of a state machine in an
// hour. Further failures are counted without a cause.
const MaxGroups = 200

// How failures are grouped, and what is kept of a group.
const (
	GroupLength  = 8                 // of what identifies a cause, bytes
	Slots        = 12                // in an hour
	SlotLength   = time.Hour / Slots // for which failures are counted together
	MaxExamples  = 3                 // of a group, the newest
	MillisDigits = 13                // of a time in ms
	ErrorDigits  = 3                 // of the length of an error name
)

// variable replaces a variable part of a message.
const variable = '#'

// Cause is why executions of a state machine failed.
type Cause struct {
	Machine  Machine
	Error    string // name
	Template string // of the message
}

// CauseOf returns the cause of a failure: its error name, and its message without the
// parts that vary.
func CauseOf(m Machine, name, message string) Cause {
	if rest, ok := strings.CutPrefix(message, name); ok && name != "" && (rest == "" || strings.HasPrefix(rest, ": ")) {
		message = strings.TrimPrefix(rest, ": ")
	}
	return Cause{m, cut(name, MaxError), Template(message)}
}

// Group returns the identifier of the cause.
func (c Cause) Group() string {
	h := sha256.New()
	h.Write(c.Machine[:])
	h.Write(binary.BigEndian.AppendUint16(nil, uint16(len(c.Error))))
	h.Write([]byte(c.Error))
	h.Write([]byte(c.Template))
	return string(h.Sum(nil)[:GroupLength])
}

// cut shortens s to at most n bytes without splitting a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// Template returns a message with # for each part that varies: numbers, hexadecimal and
// other identifiers, UUIDs, ARNs and what is in quotes. Messages that differ only in
// these parts have the same template. It has at most MaxTemplate bytes.
func Template(message string) string {
	rest := strings.ToValidUTF8(cut(message, maxMessage), "\uFFFD")
	b := make([]byte, 0, min(len(rest), MaxTemplate+utf8.UTFMax))
	previous := byte(' ')
	for rest != "" && len(b) <= MaxTemplate {
		n := 0
		if b, n = appendNext(b, rest, previous); n == 0 { // as it stands
			_, n = utf8.DecodeRuneInString(rest)
			b = append(b, rest[:n]...)
		}
		previous, rest = rest[n-1], rest[n:]
	}
	return cut(strings.TrimSpace(string(b)), MaxTemplate)
}

// appendNext appends the replacement for the beginning of rest and returns the length of
// that beginning; 0 for a character without special meaning.
func appendNext(b []byte, rest string, previous byte) ([]byte, int) {
	if n := spaces(rest); n > 0 {
		return append(b, ' '), n
	}
	inWord := wordByte(previous)
	if n := quoted(rest, inWord); n > 0 {
		return append(b, rest[0], variable, rest[0]), n
	}
	if inWord {
		return b, 0
	}
	if n := identifier(rest); n > 0 {
		return appendVariable(b), n
	}
	n := word(rest)
	return appendWord(b, rest[:n]), n
}

// identifier returns the length of the ARN or UUID at the beginning of s; 0 if there is none.
func identifier(s string) int {
	if strings.HasPrefix(s, "arn:") {
		if n := strings.IndexAny(s, " \t\r\n\"'`<>,;()[]{}"); n >= 0 {
			return n
		}
		return len(s)
	}
	const uuid = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
	if len(s) < len(uuid) || len(s) > len(uuid) && wordByte(s[len(uuid)]) {
		return 0
	}
	for i := range len(uuid) {
		if uuid[i] == '-' && s[i] != '-' || uuid[i] == 'x' && !hexByte(s[i]) {
			return 0
		}
	}
	return len(uuid)
}

// appendVariable appends a variable. It merges with a variable directly before it: 10.0.0.1
// becomes one.
func appendVariable(b []byte) []byte {
	if n := len(b); n >= 2 && b[n-2] == variable && strings.IndexByte(".,:-/+", b[n-1]) >= 0 {
		return b[:n-1]
	}
	return append(b, variable)
}

// appendWord appends a word without its digits, or a variable if it is an identifier.
func appendWord(b []byte, w string) []byte {
	if random(w) {
		return appendVariable(b)
	}
	for i := 0; i < len(w); i++ {
		switch {
		case !digit(w[i]):
			b = append(b, w[i])
		case i == 0:
			b = appendVariable(b)
		case !digit(w[i-1]):
			b = append(b, variable)
		}
	}
	return b
}

// random reports whether a word looks like a generated identifier: hexadecimal, or
// alternating letters and digits.
func random(w string) bool {
	turns, digits, hex := 0, 0, strings.HasPrefix(w, "0x") || strings.HasPrefix(w, "0X")
	allHex := true
	for i := range len(w) {
		if digit(w[i]) {
			digits++
		}
		allHex = allHex && hexByte(w[i])
		if i > 0 && digit(w[i]) != digit(w[i-1]) && w[i] != '_' && w[i-1] != '_' {
			turns++
		}
	}
	return hex && len(w) > 2 || allHex && (digits > 0 && len(w) >= 4 || len(w) >= 16) || turns >= 3
}

// word returns the length of the word at the beginning of s.
func word(s string) (n int) {
	for n < len(s) && wordByte(s[n]) {
		n++
	}
	return n
}

func spaces(s string) (n int) {
	for n < len(s) && (s[n] == ' ' || s[n] >= '\t' && s[n] <= '\r') {
		n++
	}
	return n
}

// quoted returns the length of the quoted text at the beginning of s, including the
// quotes. An apostrophe in a word is not a quote.
func quoted(s string, inWord bool) int {
	q := s[0]
	if q != '"' && q != '`' && (q != '\'' || inWord) {
		return 0
	}
	for i := 1; i < min(len(s), maxQuoted); i++ {
		if s[i] == q && (q != '\'' || i+1 == len(s) || !wordByte(s[i+1])) {
			return i + 1
		}
	}
	return 0
}

func digit(c byte) bool    { return c >= '0' && c <= '9' }
func hexByte(c byte) bool  { return digit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }
func wordByte(c byte) bool { return digit(c) || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' }

// AppendFailure appends the script's arguments for a failure at t, in addition to its
// entry: time, group, error name with its length, and template.
func (c Cause) AppendFailure(b []byte, t time.Time) []byte {
	b = appendDigits(b, max(0, t.UnixMilli()), MillisDigits)
	b = append(b, c.Group()...)
	b = appendDigits(b, int64(len(c.Error)), ErrorDigits)
	return append(append(b, c.Error...), c.Template...)
}

// appendDigits appends n with the given number of decimal digits.
func appendDigits(b []byte, n int64, digits int) []byte {
	at := len(b)
	b = append(b, "0000000000000"[:digits]...)
	for i := len(b) - 1; i >= at; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}
