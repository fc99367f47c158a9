package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCompare(t *testing.T) {
	t.Parallel()
	c := costs{"ours": {2, 4, 3}, "theirs": {4, 4, 4}}
	for name, tc := range map[string]struct {
		theirs string
		target target
		want   line
	}{
		"cheap enough": {"theirs", atMost(0.75), line{"read", "3 (2–4) µs", "theirs: 4 (4–4) µs", "0.75 (0.5–1)", "≤ 0.75", good}},
		"too dear":     {"theirs", atMost(0.74), line{"read", "3 (2–4) µs", "theirs: 4 (4–4) µs", "0.75 (0.5–1)", "≤ 0.74", bad}},
		"fast enough":  {"theirs", atLeast(1.3), line{"read", "3 (2–4) µs", "theirs: 4 (4–4) µs", "1.33 (1–2)", "≥ 1.3", good}},
		"too slow":     {"theirs", atLeast(1.4), line{"read", "3 (2–4) µs", "theirs: 4 (4–4) µs", "1.33 (1–2)", "≥ 1.4", bad}},
		"not there":    {webdisGet, atMost(2), line{"read", "3 (2–4) µs", "webdis GET: not installed (apt-get install webdis)", none, "≤ 2", none}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := compare("read", c, "ours", tc.theirs, tc.target)
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(line{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPrintTable(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := printTable(&b, []line{{"hot read", "1", "x", "2", "≤ 3", good}}); err != nil {
		t.Fatal(err)
	}
	const want = "figure    statusd  beside  ratio  target  verdict\n" +
		"hot read  1        x       2      ≤ 3     ok\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}
