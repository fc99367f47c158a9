package changes

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"statuscache/cache"
	"statuscache/cache/cachetest"
)

// process is what a statusd has of the cache: the records, and who waits for them.
type process struct {
	*cache.Cache
	*Hub
	metrics *prometheus.Registry
}

// openBubble opens a process on the Redis of a bubble. Its connections pass through n.
func openBubble(t *testing.T, b *cachetest.Bubble, n *cachetest.Network) process {
	t.Helper()
	b.Join(n)
	p := process{metrics: prometheus.NewRegistry()}
	c, err := cache.Open(cache.Options{
		URL: cachetest.BubbleURL, Prefix: "sc", Retention: 15 * 24 * time.Hour, Dial: n.Dial,
		Log: slog.New(slog.DiscardHandler), Metrics: p.metrics,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	p.Cache, p.Hub = c, Open(c)
	return p
}

// run runs a process until the test ends, and returns when it hears changes.
func (p process) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.Cache.Run(ctx) })
	g.Go(func() error { return p.Hub.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		if err := g.Wait(); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	cachetest.Eventually(t, "the change feed works", func() bool { return p.DB().Ready() == nil })
}

// reads returns how often Redis was asked for records.
func (p process) reads(t *testing.T) int {
	t.Helper()
	families, err := p.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "statuscache_redis_read_batches_total" {
			return int(f.GetMetric()[0].GetCounter().GetValue())
		}
	}
	t.Fatal("there is no metric of reads")
	return 0
}

func (p process) apply(t *testing.T, e cache.Execution) {
	t.Helper()
	for _, o := range p.Apply(t.Context(), []cache.Execution{e}) {
		if o.Err != nil {
			t.Fatalf("apply: %v", o.Err)
		}
	}
}

func testARN(t *testing.T, name string) cache.ARN {
	t.Helper()
	arn, err := cache.ParseARN("arn:aws:states:eu-west-1:123456789012:execution:Pipeline:" + name)
	if err != nil {
		t.Fatal(err)
	}
	return arn
}

// now is the present with the precision of an event.
func now() time.Time { return time.Now().Truncate(time.Millisecond) }

func running(arn cache.ARN, start time.Time) cache.Execution {
	return cache.Execution{ARN: arn, Status: cache.Running, StartDate: start, Completeness: cache.Complete, Source: cache.FromEvent}
}

func succeeded(arn cache.ARN, start time.Time, output string) cache.Execution {
	return cache.Execution{
		ARN: arn, Status: cache.Succeeded, StartDate: start, StopDate: start.Add(time.Second),
		Completeness: cache.Complete, Output: []byte(output), Source: cache.FromEvent,
	}
}
