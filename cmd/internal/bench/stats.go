package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
)

// spread is the result of the rounds of one measurement.
type spread struct{ median, least, most float64 }

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{math.NaN(), math.NaN(), math.NaN()}
	}
	return spread{percentile(values, 50), slices.Min(values), slices.Max(values)}
}

func (s spread) String() string {
	return fmt.Sprintf("%s (%s–%s)", short(s.median), short(s.least), short(s.most))
}

// short writes a number with three significant digits, so that a figure that just misses its
// target does not look like the target.
func short(f float64) string {
	if math.Abs(f) >= 100 {
		return strconv.FormatFloat(f, 'f', 0, 64)
	}
	return strconv.FormatFloat(f, 'g', 3, 64)
}

// percentile returns the p-th percentile, interpolated between two neighbours. There must be at
// least one value.
func percentile(values []float64, p float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	place := p / 100 * float64(len(sorted)-1)
	lower := int(place)
	upper := min(lower+1, len(sorted)-1)
	return sorted[lower] + (place-float64(lower))*(sorted[upper]-sorted[lower])
}

// ratios divides round by round: a disturbance of a round affected both sides.
func ratios(ours, theirs []float64) []float64 {
	all := make([]float64, min(len(ours), len(theirs)))
	for i := range all {
		all[i] = ours[i] / theirs[i]
	}
	return all
}
