package lists

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"statuscache/cache"
	"statuscache/cache/cachetest"
)

const testMachine cache.MachineARN = "arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline"

func testARN(t testing.TB, name string) cache.ARN {
	t.Helper()
	arn, err := cache.ParseARN(string(testMachine.Execution(name)))
	if err != nil {
		t.Fatal(err)
	}
	return arn
}

// redisTimeout is how long Redis may take: these tests are not about that.
const redisTimeout = 30 * time.Second

// fixture is a cache, and the lists of what is in it.
type fixture struct {
	*cache.Cache
	*Reader
}

// openTest opens a cache, and runs it until the test ends.
func openTest(t testing.TB, url string, change ...func(*cache.Options)) *fixture {
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
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	cachetest.Eventually(t, "the change feed works", func() bool { return c.DB().Ready() == nil })
	return &fixture{c, NewReader(c)}
}

// now is the present with the precision of an event.
func now() time.Time { return time.Now().Truncate(time.Millisecond) }

func running(arn cache.ARN, start time.Time) cache.Execution {
	return cache.Execution{ARN: arn, Status: cache.Running, StartDate: start, Completeness: cache.Complete, Source: cache.FromEvent}
}

func succeeded(arn cache.ARN, start time.Time, output string) cache.Execution {
	e := running(arn, start)
	e.Status, e.StopDate, e.Output = cache.Succeeded, start.Add(time.Second), []byte(output)
	return e
}

func failed(arn cache.ARN, start time.Time, message string) cache.Execution {
	e := running(arn, start)
	e.Status, e.StopDate, e.Error, e.ErrorMessage = cache.Failed, start.Add(time.Second), "Boom", message
	return e
}

// apply applies executions one after the other.
func apply(t testing.TB, c *fixture, executions ...cache.Execution) {
	t.Helper()
	for _, e := range executions {
		for _, o := range c.Apply(t.Context(), []cache.Execution{e}) {
			if o.Err != nil {
				t.Fatalf("apply: %v", o.Err)
			}
		}
	}
}
