package main

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSpread(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		values []float64
		want   spread
	}{
		"one":               {[]float64{3}, spread{3, 3, 3}},
		"even":              {[]float64{4, 1}, spread{2.5, 1, 4}},
		"odd, out of order": {[]float64{9, 1, 2}, spread{2, 1, 9}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := spreadOf(c.values); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
	if s := spreadOf(nil); !math.IsNaN(s.median) {
		t.Errorf("of nothing: got %v, want no number", s)
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	hundredOne := make([]float64, 101)
	for i := range hundredOne {
		hundredOne[100-i] = float64(i)
	}
	for _, c := range []struct{ p, want float64 }{{0, 0}, {50, 50}, {99, 99}, {99.5, 99.5}, {100, 100}} {
		if got := percentile(hundredOne, c.p); got != c.want {
			t.Errorf("%v: got %v, want %v", c.p, got, c.want)
		}
	}
	if hundredOne[0] != 100 {
		t.Error("the values were sorted where they stood")
	}
}

func TestRatios(t *testing.T) {
	t.Parallel()
	got := ratios([]float64{2, 9, 5}, []float64{4, 3, 5})
	if diff := cmp.Diff([]float64{0.5, 3, 1}, got); diff != "" {
		t.Error(diff)
	}
}

func TestShort(t *testing.T) {
	t.Parallel()
	for f, want := range map[float64]string{0.1984: "0.198", 0.5: "0.5", 9.994: "9.99", 12.34: "12.3", 1.05: "1.05", 1234.4: "1234"} {
		if got := short(f); got != want {
			t.Errorf("%v: got %q, want %q", f, got, want)
		}
	}
}
