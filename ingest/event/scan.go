package event

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// The functions of this file read usual JSON, without copies and several times as fast as
// jsontext. They never decide that JSON is invalid: if they are not certain, jsontext reads it
// again from the beginning.

// unusual is returned instead of an index: jsontext must read the text.
const unusual = -1

// maxScanDepth is the greatest nesting of usual values.
const maxScanDepth = 64

// scanMembers is eachMember for usual objects. It returns false for others, after it has
// called visit for none or some of the members.
func scanMembers(object []byte, visit func(name []byte, value jsontext.Value)) bool {
	i := skipSpace(object, 0)
	if i == len(object) || object[i] != '{' {
		return false
	}
	i = scanObject(object, i+1, 0, visit)
	return i != unusual && skipSpace(object, i) == len(object)
}

// scanValid reports whether text is one usual value.
func scanValid(text []byte) bool {
	i := skipValue(text, skipSpace(text, 0), 0)
	return i != unusual && skipSpace(text, i) == len(text)
}

// scanObject returns the end of the object whose members begin at i. visit may be nil.
func scanObject(b []byte, i, depth int, visit func(name []byte, value jsontext.Value)) int {
	if i = skipSpace(b, i); i < len(b) && b[i] == '}' {
		return i + 1
	}
	for i < len(b) && b[i] == '"' {
		name := i
		if i = skipString(b, i+1); i == unusual {
			return unusual
		}
		end := i
		if i = skipSpace(b, i); i == len(b) || b[i] != ':' {
			return unusual
		}
		value := skipSpace(b, i+1)
		if i = skipValue(b, value, depth); i == unusual {
			return unusual
		}
		if visit != nil {
			visit(nameOf(b[name:end]), b[value:i:i])
		}
		if i = skipSpace(b, i); i == len(b) {
			return unusual
		}
		if b[i] == '}' {
			return i + 1
		}
		if b[i] != ',' {
			return unusual
		}
		i = skipSpace(b, i+1)
	}
	return unusual
}

// skipArray returns the end of the array whose elements begin at i.
func skipArray(b []byte, i, depth int) int {
	if i = skipSpace(b, i); i < len(b) && b[i] == ']' {
		return i + 1
	}
	for {
		if i = skipValue(b, i, depth); i == unusual {
			return unusual
		}
		if i = skipSpace(b, i); i == len(b) {
			return unusual
		}
		switch b[i] {
		case ']':
			return i + 1
		case ',':
			i = skipSpace(b, i+1)
		default:
			return unusual
		}
	}
}

// skipValue returns the end of the value that begins at i.
func skipValue(b []byte, i, depth int) int {
	if i == len(b) || depth == maxScanDepth {
		return unusual
	}
	switch b[i] {
	case '"':
		return skipString(b, i+1)
	case '{':
		return scanObject(b, i+1, depth+1, nil)
	case '[':
		return skipArray(b, i+1, depth+1)
	case 't':
		return skipWord(b, i, "true")
	case 'f':
		return skipWord(b, i, "false")
	case 'n':
		return skipWord(b, i, "null")
	}
	return skipNumber(b, i)
}

func skipWord(b []byte, i int, word string) int {
	if end := i + len(word); end <= len(b) && string(b[i:end]) == word {
		return end
	}
	return unusual
}

// skipNumber returns the end of the number that begins at i.
func skipNumber(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	first := i
	if i = skipDigits(b, i); i == first || b[first] == '0' && i > first+1 {
		return unusual
	}
	if i < len(b) && b[i] == '.' {
		first = i + 1
		if i = skipDigits(b, first); i == first {
			return unusual
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		first = i
		if i = skipDigits(b, first); i == first {
			return unusual
		}
	}
	return i
}

func skipDigits(b []byte, i int) int {
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	return i
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// skipString returns the end of the string whose text begins at i.
func skipString(b []byte, i int) int {
	for {
		if i = nextSpecial(b, i); i == len(b) {
			return unusual
		}
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			if i+1 == len(b) || unescaped[b[i+1]] == 0 {
				return unusual
			}
			i += 2
		default: // a control character
			return unusual
		}
	}
}

// unescaped has the meaning of each character after a backslash. A missing one, such as \u, is
// unusual.
var unescaped = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

const (
	eachByte = 0x0101010101010101
	highBits = 0x8080808080808080
)

// nextSpecial returns the index of the first quote, backslash or control character from i on,
// or the length of b. It checks eight bytes at a time: the lowest bit of
// (x-eachByte)&^x&highBits is in the first byte of x that is 0. Higher bits may be wrong.
func nextSpecial(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		quote, backslash := w^('"'*eachByte), w^('\\'*eachByte)
		found := ((quote-eachByte)&^quote | (backslash-eachByte)&^backslash | (w-' '*eachByte)&^w) & highBits
		if found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for i < len(b) && b[i] != '"' && b[i] != '\\' && b[i] >= ' ' {
		i++
	}
	return i
}

// plainText returns the content of a string without escapes, as a part of the string. The
// string was scanned or read before.
func plainText(quoted []byte) (text []byte, ok bool) {
	if len(quoted) < 2 || quoted[0] != '"' || quoted[len(quoted)-1] != '"' || bytes.IndexByte(quoted, '\\') >= 0 || !utf8.Valid(quoted) {
		return nil, false
	}
	return quoted[1 : len(quoted)-1], true
}

// unquote returns a copy of the content of a string that was scanned or read before. ok is
// false if the content is unusual.
func unquote(quoted []byte) (text []byte, ok bool) {
	if len(quoted) < 2 || quoted[0] != '"' || quoted[len(quoted)-1] != '"' || !utf8.Valid(quoted) {
		return nil, false
	}
	b := quoted[1 : len(quoted)-1]
	text = make([]byte, 0, len(b))
	for i := bytes.IndexByte(b, '\\'); i >= 0; i = bytes.IndexByte(b, '\\') {
		if i+1 == len(b) || unescaped[b[i+1]] == 0 {
			return nil, false
		}
		text = append(append(text, b[:i]...), unescaped[b[i+1]])
		b = b[i+2:]
	}
	return append(text, b...), true
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
