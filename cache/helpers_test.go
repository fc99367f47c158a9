package cache

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"statuscache/cache/apikeys"
	"statuscache/cache/cachetest"
	"statuscache/cache/internal/indexes"
)

const testMachine = "arn:aws:states:eu-west-1:123456789012:execution:Pipeline:"

func testARN(t testing.TB, name string) ARN {
	t.Helper()
	arn, err := ParseARN(testMachine + name)
	if err != nil {
		t.Fatal(err)
	}
	return arn
}

// redisTimeout is how long Redis may take in a test that is not about such limits: a
// machine that is busy with other work must not make it fail.
const redisTimeout = 30 * time.Second

// openTest opens a cache on a Redis of the test's own, and runs it.
func openTest(t testing.TB, url string, change ...func(*Options)) *Cache {
	t.Helper()
	c := openIdle(t, url, change...)
	runTest(t, c)
	return c
}

// openIdle opens a cache that does not listen to changes.
func openIdle(t testing.TB, url string, change ...func(*Options)) *Cache {
	t.Helper()
	o := Options{
		URL: url, Prefix: "sc", Retention: 15 * 24 * time.Hour,
		Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
		ReadLimit: redisTimeout, WriteLimit: redisTimeout,
	}
	for _, f := range change {
		f(&o)
	}
	c, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c
}

// through has a cache reach Redis by a network of the test's own.
func through(n *cachetest.Network) func(*Options) {
	return func(o *Options) { o.Dial = n.Dial }
}

// openBubble opens a cache on the Redis of a bubble that does not listen to changes, with
// the limits of production. Its connections pass through n.
func openBubble(t *testing.T, b *cachetest.Bubble, n *cachetest.Network) *Cache {
	t.Helper()
	b.Join(n)
	return openIdle(t, cachetest.BubbleURL, through(n), func(o *Options) { o.ReadLimit, o.WriteLimit = 0, 0 })
}

// openWithKeys opens a cache and the API keys in its Redis, and runs them.
func openWithKeys(t testing.TB, url string, change ...func(*Options)) (*Cache, *apikeys.Keys) {
	t.Helper()
	c := openIdle(t, url, change...)
	keys, err := apikeys.Open(c.db, apikeys.Options{Pepper: []byte("pepper pepper pepper"), Log: c.options.Log})
	if err != nil {
		t.Fatal(err)
	}
	runTest(t, c)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- keys.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run the API keys: %v", err)
		}
	})
	return c, keys
}

func createKey(t *testing.T, keys *apikeys.Keys, k apikeys.Key) (secret string, created apikeys.Key) {
	t.Helper()
	secret, created, err := keys.Create(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	return secret, created
}

// runTest runs c until the test ends, and returns when the near cache is on.
func runTest(t testing.TB, c *Cache) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	cachetest.Eventually(t, "the change feed works", func() bool { return c.db.Ready() == nil })
}

// now is the present with the precision of an event.
func now() time.Time { return time.Now().Truncate(time.Millisecond) }

func running(arn ARN, start time.Time) Execution {
	return Execution{ARN: arn, Status: Running, StartDate: start, Completeness: Complete, Source: FromEvent}
}

func succeeded(arn ARN, start time.Time, output string) Execution {
	return Execution{
		ARN: arn, Status: Succeeded, StartDate: start, StopDate: start.Add(time.Second),
		Completeness: Complete, Output: []byte(output), Source: FromEvent,
	}
}

func failed(arn ARN, start time.Time, message string) Execution {
	return Execution{
		ARN: arn, Status: Failed, StartDate: start, StopDate: start.Add(time.Second),
		Completeness: Complete, Error: "Boom", ErrorMessage: message, Source: FromEvent,
	}
}

// apply applies executions one after the other and returns the verdicts.
func apply(t testing.TB, c *Cache, executions ...Execution) []Verdict {
	t.Helper()
	var verdicts []Verdict
	for _, e := range executions {
		for _, o := range c.Apply(t.Context(), []Execution{e}) {
			if o.Err != nil {
				t.Fatalf("apply: %v", o.Err)
			}
			verdicts = append(verdicts, o.Verdict)
		}
	}
	return verdicts
}

// stored reads a record past the near cache.
func stored(t testing.TB, c *Cache, arn ARN) *Record {
	t.Helper()
	c.near.forget(arn)
	r, err := c.Get(t.Context(), arn)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func versionOf(e Execution) Version { return e.Version() }

// indexMembers returns the executions that an index has.
func indexMembers(t *testing.T, c *Cache, key string) []ARN {
	t.Helper()
	members, err := c.db.Readers.ZRange(t.Context(), key, 0, -1).Result()
	if err != nil {
		t.Fatal(err)
	}
	arns, err := indexes.Members(t.Context(), c.db, members)
	if err != nil {
		t.Fatal(err)
	}
	return arns
}
