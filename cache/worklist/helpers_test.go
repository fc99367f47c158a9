package worklist

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"statuscache/cache"
	"statuscache/cache/cachetest"
	"statuscache/cache/internal/redisdb"
)

const testMachine = "arn:aws:states:eu-west-1:123456789012:execution:Pipeline:"

func testARN(name string) cache.ARN { return cache.ARN(testMachine + name) }

// store is a cache and what this package keeps in its Redis.
type store struct {
	*cache.Cache
	db       *redisdb.DB
	worklist *Worklist
	sweeps   *Sweeps
	losses   *LossDetector
}

// openIdle opens a store in which nothing runs. It lets Redis take long: a busy machine
// must not make a test fail.
func openIdle(t testing.TB, url string, noticed ...func(context.Context) error) *store {
	t.Helper()
	const redisTimeout = 30 * time.Second
	log := slog.New(slog.DiscardHandler)
	c, err := cache.Open(cache.Options{
		URL: url, Prefix: "sc", Retention: 15 * 24 * time.Hour, Log: log, ReadLimit: redisTimeout, WriteLimit: redisTimeout,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	metrics := prometheus.NewRegistry()
	o := LossOptions{Log: log, Metrics: metrics}
	for _, f := range noticed {
		o.Noticed = f
	}
	losses := NewLossDetector(c.DB(), o)
	return &store{c, c.DB(), New(c.DB(), metrics), NewSweeps(c.DB(), losses, metrics), losses}
}

// openTest opens a store and runs all of it until the test ends.
func openTest(t testing.TB, url string) *store {
	t.Helper()
	s := openIdle(t, url)
	ctx, cancel := context.WithCancel(context.Background())
	parts := []func(context.Context) error{s.Run, s.worklist.Run, s.sweeps.Run, s.losses.Run}
	ended := make(chan error)
	for _, run := range parts {
		go func() { ended <- run(ctx) }()
	}
	t.Cleanup(func() {
		cancel()
		for range parts {
			if err := <-ended; err != nil {
				t.Errorf("run: %v", err)
			}
		}
	})
	cachetest.Eventually(t, "the change feed works", func() bool { return s.db.Ready() == nil })
	return s
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

// awaiting is a success whose output an event left out.
func awaiting(arn cache.ARN, start time.Time) cache.Execution {
	e := succeeded(arn, start, "")
	e.Completeness, e.Output = cache.OutputAwaited, nil
	return e
}

func gaveUp(arn cache.ARN, start time.Time) cache.Execution {
	e := awaiting(arn, start)
	e.Completeness = cache.OutputGivenUp
	return e
}

func failed(arn cache.ARN, start time.Time, message string) cache.Execution {
	return cache.Execution{
		ARN: arn, Status: cache.Failed, StartDate: start, StopDate: start.Add(time.Second),
		Completeness: cache.Complete, Error: "Boom", ErrorMessage: message, Source: cache.FromEvent,
	}
}

// apply applies executions one after the other.
func apply(t testing.TB, s *store, executions ...cache.Execution) {
	t.Helper()
	for _, e := range executions {
		if o := s.Apply(t.Context(), []cache.Execution{e})[0]; o.Err != nil {
			t.Fatalf("apply: %v", o.Err)
		}
	}
}

// stored reads a record, nil if there is none. It is for stores in which nothing runs, or
// records that were not read before: others may be near.
func stored(t testing.TB, s *store, arn cache.ARN) *cache.Record {
	t.Helper()
	r, err := s.Get(t.Context(), arn)
	if errors.Is(err, cache.ErrNotFound) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func versionOf(e cache.Execution) cache.Version { return e.Version() }
