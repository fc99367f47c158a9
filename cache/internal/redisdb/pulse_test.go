package redisdb

import (
	"testing"
	"time"
)

// TestThePulseIsTheWeakest: one primary that is not heard is enough to trust
// nothing.
func TestThePulseIsTheWeakest(t *testing.T) {
	t.Parallel()
	var trust Trust
	begun := 0
	p := &pulse{last: make([]int64, 3), trust: &trust, begun: func() { begun++ }}
	second := int64(time.Second)
	for i, step := range []struct {
		primary    int
		sent, want int64 // want: trusted until
	}{
		{0, 5 * second, 0},
		{1, 6 * second, 0},
		{2, 7 * second, 7 * second},
		{1, 9 * second, 7 * second},
		{0, 8 * second, 9 * second},
		{2, 8 * second, 10 * second},
	} {
		p.of(step.primary)(step.sent)
		if got := trust.until.Load(); got != step.want {
			t.Errorf("step %d: trusted until %v, want %v", i, time.Duration(got), time.Duration(step.want))
		}
		if want := min(int(step.want), 1); begun != want {
			t.Errorf("step %d: begun %d times, want %d", i, begun, want)
		}
	}
}
