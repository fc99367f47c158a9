package cache

import (
	"testing"
	"time"

	"statuscache/cache/cachetest"
)

// TestFullTrailKeepsHowItCameToTheState: a duplicate does not push out of a full trail
// the observation that the state is from. By that is known how long an output has been
// awaited.
func TestFullTrailKeepsHowItCameToTheState(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	arn, start := testARN(t, "full"), now().Add(-time.Hour)
	run, success := running(arn, start), awaiting(arn, start)
	success.StopDate = now()
	for range 15 {
		apply(t, c, run)
	}
	apply(t, c, success, success, run)

	x, err := c.Explain(t.Context(), arn)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, o := range x.Trail {
		found = found || o.Verdict == Applied && o.Version == x.Exact
	}
	if !found || len(x.Trail) != 16 {
		t.Errorf("the trail of %d entries does not say whence the state is", len(x.Trail))
	}
}
