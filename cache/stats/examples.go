package stats

import (
	"bytes"
	"cmp"
	"crypto/sha1"
	"fmt"
	"slices"
	"strings"

	"statuscache/cache/internal/tally"
)

// example is an execution that failed.
type example struct {
	at   int64 // ms
	name string
}

// newer orders examples: the newest first. Those of the same ms are ordered as count.lua
// does.
func newer(a, b example) int {
	if a.at != b.at {
		return cmp.Compare(b.at, a.at)
	}
	x, y := a.hash(), b.hash()
	return bytes.Compare(y[:], x[:])
}

func (e example) hash() [sha1.Size]byte {
	return sha1.Sum(fmt.Appendf(nil, "%013d%s", e.at, e.name))
}

func readExamples(text string) (all []example) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSuffix(line, "\n"); len(line) > tally.MillisDigits {
			all = append(all, example{number(line[:tally.MillisDigits]), line[tally.MillisDigits:]})
		}
	}
	return all
}

// newest returns the newest of two lists of examples, each execution by its newest failure.
// The lists are in this order too.
func newest(a, b []example) (all []example) {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0 || len(a) == tally.MaxExamples && newer(a[len(a)-1], b[0]) < 0:
		return a
	}
	both := slices.Concat(a, b)
	slices.SortFunc(both, newer)
	for _, e := range both {
		if len(all) < tally.MaxExamples && !slices.ContainsFunc(all, func(o example) bool { return o.name == e.name }) {
			all = append(all, e)
		}
	}
	return all
}
