package cache

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"statuscache/cache/cachetest"
)

// TestManyAreReadInOneRoundTrip to each node.
func TestManyAreReadInOneRoundTrip(t *testing.T) {
	t.Parallel()
	cachetest.Each(t, func(t *testing.T, r cachetest.Running) { manyInOneTrip(t, openTest(t, r.URL)) }, cachetest.Single, cachetest.Clustered)
}

func manyInOneTrip(t *testing.T, c *Cache) {
	arns := make([]ARN, 101)
	for i := range arns[:100] {
		arns[i] = testARN(t, fmt.Sprint("many-", i))
		apply(t, c, running(arns[i], now()))
	}
	arns[100] = arns[0]
	arns[7] = testARN(t, "many-unknown")
	idle := openIdle(t, c.options.URL, func(o *Options) { o.Prefix = c.options.Prefix }) // hears no change that would split a trip
	before := tripsOf(idle)
	for i, f := range idle.GetMany(t.Context(), arns) {
		if i == 7 != (f.Err != nil) || f.Err == nil && f.Record.ARN != arns[i] {
			t.Fatalf("%d: %+v", i, f)
		}
	}
	nodes := 1
	if c.db.Cluster() {
		nodes = 3
	}
	if trips := tripsOf(idle) - before; trips != nodes {
		t.Errorf("%d round trips to %d nodes", trips, nodes)
	}
}

// tripsOf returns how many round trips reads have taken.
func tripsOf(c *Cache) int { return int(testutil.ToFloat64(c.metrics.readBatches)) }
