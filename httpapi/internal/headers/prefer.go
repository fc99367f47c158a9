package headers

import (
	"strconv"
	"strings"
	"time"
)

// Seconds reads a whole number of seconds. Very large numbers count as a million.
func Seconds(s string) (time.Duration, bool) {
	const enough = 1_000_000
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	if err != nil || n > enough {
		n = enough
	}
	return time.Duration(n) * time.Second, true
}

// PreferredWait returns the wait in a Prefer header (RFC 7240). The first one counts, and
// malformed ones are ignored.
func PreferredWait(header []string) (time.Duration, bool) {
	for _, list := range header {
		for each := range strings.SplitSeq(list, ",") {
			preference, _, _ := strings.Cut(each, ";")
			name, value, _ := strings.Cut(preference, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			value = strings.TrimSpace(value)
			if n := len(value); n > 1 && value[0] == '"' && value[n-1] == '"' {
				value = value[1 : n-1]
			}
			return Seconds(value)
		}
	}
	return 0, false
}
