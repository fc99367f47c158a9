package stats

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"statuscache/cache"
	"statuscache/cache/cachetest"
	"statuscache/cache/internal/redisdb"
)

// redisTimeout is how long Redis may take: these tests are not about that.
const redisTimeout = 30 * time.Second

const (
	machineA = "arn:aws:states:eu-west-1:123456789012:stateMachine:A"
	machineB = "arn:aws:states:eu-west-1:123456789012:stateMachine:B"
)

func openTest(t testing.TB, url string, change ...func(*cache.Options)) (*cache.Cache, *Stats) {
	t.Helper()
	o := cache.Options{
		URL: url, Prefix: "sc", Retention: 15 * 24 * time.Hour,
		Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
		ReadLimit: redisTimeout, WriteLimit: redisTimeout,
	}
	for _, f := range change {
		f(&o)
	}
	c, err := cache.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c, Open(c, o.Metrics)
}

func openRedis(t testing.TB) (*cache.Cache, *Stats) {
	t.Helper()
	return openTest(t, cachetest.Redis(t).URL())
}

// now is the present with the precision of an event.
func now() time.Time { return time.Now().Truncate(time.Millisecond) }

func begun(arn cache.ARN, start time.Time, attempt int) cache.Execution {
	return cache.Execution{
		ARN: arn, Status: cache.Running, StartDate: start, RedriveCount: attempt,
		Completeness: cache.Complete, Source: cache.FromEvent,
	}
}

func succeeded(arn cache.ARN, start time.Time, took time.Duration, attempt int) cache.Execution {
	e := begun(arn, start, attempt)
	e.Status, e.StopDate, e.Output = cache.Succeeded, start.Add(took), []byte(`{}`)
	return e
}

func failed(arn cache.ARN, start time.Time, took time.Duration, attempt int, message string) cache.Execution {
	e := begun(arn, start, attempt)
	e.Status, e.StopDate, e.Error, e.ErrorMessage = cache.Failed, start.Add(took), "Boom", "Boom: "+message
	return e
}

func apply(t testing.TB, c *cache.Cache, executions ...cache.Execution) {
	t.Helper()
	for some := range slices.Chunk(executions, 10) { // as many as a message batch has
		for _, o := range c.Apply(t.Context(), some) {
			if o.Err != nil {
				t.Fatalf("apply: %v", o.Err)
			}
		}
	}
}

// refresh reads what has been counted, however young what is known may be.
func refresh(t testing.TB, s *Stats) {
	t.Helper()
	if err := s.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func execution(machine, name string) cache.ARN {
	return cache.MachineARN(machine).Execution(name)
}

func flushed(ctx context.Context, node redisdb.Client) error { return node.FlushAll(ctx).Err() }
