package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// line is one line of the table.
type line struct {
	figure  string
	ours    string
	beside  string // what it is compared with, and the result of that
	ratio   string
	target  string
	verdict string
}

// A figure is ok or falls short of its target. Where there is nothing to compare
// with, there is no verdict.
const (
	good = "ok"
	bad  = "SHORT"
	none = "–"
)

func verdict(met bool) string {
	if met {
		return good
	}
	return bad
}

// target is what a ratio must not be above, or not below. The zero value is none.
type target struct {
	limit float64
	above bool // the ratio must be at least the limit
}

func atMost(limit float64) target  { return target{limit, false} }
func atLeast(limit float64) target { return target{limit, true} }

func (t target) met(ratio float64) bool {
	if t.above {
		return ratio >= t.limit
	}
	return ratio <= t.limit
}

func (t target) String() string {
	if t == (target{}) {
		return none
	}
	if t.above {
		return "≥ " + short(t.limit)
	}
	return "≤ " + short(t.limit)
}

const micros = " µs"

// compare makes a line with the costs of one contender beside those of another. Its ratio is the
// one of the target: of costs or, inverted, of speeds.
func compare(figure string, c costs, ours, theirs string, t target) line {
	l := line{figure: figure, ours: none, target: t.String()}
	if len(c[ours]) > 0 {
		l.ours = spreadOf(c[ours]).String() + micros
	}
	if len(c[theirs]) == 0 {
		l.beside, l.ratio, l.verdict = theirs+": "+errAbsent.Error(), none, none
		if name := packages[theirs]; name != "" {
			l.beside += " (apt-get install " + name + ")"
		}
		return l
	}
	l.beside = theirs + ": " + spreadOf(c[theirs]).String() + micros
	all := ratios(c[ours], c[theirs])
	if t.above {
		all = ratios(c[theirs], c[ours])
	}
	ratio := spreadOf(all)
	if l.ratio, l.verdict = ratio.String(), verdict(t.met(ratio.median)); t == (target{}) {
		l.verdict = none
	}
	return l
}

// printTable writes lines in columns.
func printTable(w io.Writer, lines []line) error {
	const gap = 2
	t := tabwriter.NewWriter(w, 0, 0, gap, ' ', 0)
	lines = append([]line{{"figure", "statusd", "beside", "ratio", "target", "verdict"}}, lines...)
	for _, l := range lines {
		if _, err := fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", l.figure, l.ours, l.beside, l.ratio, l.target, l.verdict); err != nil {
			return err
		}
	}
	return t.Flush()
}
