package cache

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"statuscache/cache/cachetest"
	"statuscache/cache/internal/batchqueue"
	"statuscache/cache/internal/redisdb"
)

// TestOneSilentPrimary: whoever asks for what another primary holds is answered,
// however many wait for the silent one.
func TestOneSilentPrimary(t *testing.T) {
	t.Parallel()
	cluster := cachetest.Cluster(t)
	c := openIdle(t, cluster.URL())
	silent, names := cluster.Primaries[0], []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"}
	var there, elsewhere []ARN
	for _, name := range names {
		arn := testARN(t, name)
		apply(t, c, running(arn, now()))
		node, err := c.db.ReaderOf(t.Context(), c.db.Names.Execution(string(arn)))
		if err != nil {
			t.Fatal(err)
		}
		if redisdb.Address(node) == silent.Addr {
			there = append(there, arn)
		} else {
			elsewhere = append(elsewhere, arn)
		}
	}
	if len(there) == 0 || len(elsewhere) == 0 {
		t.Fatalf("%d there, %d elsewhere", len(there), len(elsewhere))
	}
	silent.Freeze()
	ctx, stop := context.WithCancel(t.Context())
	var answered atomic.Int64
	var waiting sync.WaitGroup
	asked := testutil.ToFloat64(c.metrics.nearMisses)
	for range 3 * batchqueue.MaxWorkers {
		for _, arn := range there {
			asked++
			waiting.Go(func() {
				if _, err := c.Get(ctx, arn); err == nil {
					answered.Add(1)
				}
			})
		}
	}
	defer waiting.Wait()
	defer stop()
	cachetest.Eventually(t, "many wait for it", func() bool { return testutil.ToFloat64(c.metrics.nearMisses) == asked })
	for range 50 {
		for _, arn := range elsewhere {
			if _, err := c.Get(t.Context(), arn); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := answered.Load(); n > 0 {
		t.Errorf("the control: the silent primary has answered %d times", n)
	}
}
