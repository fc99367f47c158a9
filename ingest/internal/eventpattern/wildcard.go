package eventpattern

import (
	"errors"
	"strings"
)

// compileWildcard compares with a text in which * matches any characters. A backslash
// escapes an asterisk or a backslash.
func compileWildcard(want string) (test, error) {
	parts, err := splitWildcard(want)
	if err != nil {
		return nil, err
	}
	return text(func(s string) bool { return matchesParts(s, parts) }), nil
}

// splitWildcard returns the parts between the asterisks.
func splitWildcard(want string) ([]string, error) {
	parts, part := []string{}, strings.Builder{}
	for i := 0; i < len(want); i++ {
		switch c := want[i]; {
		case c == '\\':
			if i++; i == len(want) || want[i] != '*' && want[i] != '\\' {
				return nil, errors.New("a backslash can only escape * and itself")
			}
			part.WriteByte(want[i])
		case c == '*' && i > 0 && part.Len() == 0:
			return nil, errors.New("two asterisks in a row")
		case c == '*':
			parts = append(parts, part.String())
			part.Reset()
		default:
			part.WriteByte(c)
		}
	}
	return append(parts, part.String()), nil
}

// matchesParts reports whether a text consists of parts with anything between them. For
// each part it takes the first occurrence, which leaves the most text for the others.
func matchesParts(s string, parts []string) bool {
	first, last := parts[0], parts[len(parts)-1]
	if len(parts) == 1 {
		return s == first
	}
	if len(s) < len(first)+len(last) || !strings.HasPrefix(s, first) || !strings.HasSuffix(s, last) {
		return false
	}
	s = s[len(first) : len(s)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		at := strings.Index(s, part)
		if at < 0 {
			return false
		}
		s = s[at+len(part):]
	}
	return true
}
