package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseMetrics(t *testing.T) {
	t.Parallel()
	const text = `# HELP hits_total Reads.
# TYPE hits_total counter
hits_total 12
large_total 1.5e+06
labelled{code="200"} 7
broken x
`
	want := map[string]float64{"hits_total": 12, "large_total": 1.5e6, `labelled{code="200"}`: 7}
	if diff := cmp.Diff(want, parseMetrics(strings.NewReader(text))); diff != "" {
		t.Error(diff)
	}
}
