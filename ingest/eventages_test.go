package ingest

import (
	"testing"
	"time"
)

// TestEventAgesAreOfTheLatestEvents: the first are forgotten.
func TestEventAgesAreOfTheLatestEvents(t *testing.T) {
	t.Parallel()
	var a eventAges
	if _, _, _, ok := a.quantiles(); ok {
		t.Error("ages before the first event")
	}
	a.add(time.Second)
	if p50, p99, most, ok := a.quantiles(); !ok || p50 != time.Second || p99 != time.Second || most != time.Second {
		t.Errorf("of one: %v %v %v", p50, p99, most)
	}
	for range 10 {
		a.add(time.Hour)
	}
	for i := range maxAges {
		a.add(time.Duration(i) * time.Millisecond)
	}
	if p50, p99, most, _ := a.quantiles(); p50 != 512*time.Millisecond || p99 != 1013*time.Millisecond || most != 1023*time.Millisecond {
		t.Errorf("%v %v %v", p50, p99, most)
	}
}
