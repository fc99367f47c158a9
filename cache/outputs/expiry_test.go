package outputs

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"statuscache/cache"
	"statuscache/cache/cachetest"
)

// life is how long outputs are kept in these tests. What is due ended longer ago.
const life = time.Hour

// process is a cache and its Sweeper.
type process struct {
	*cache.Cache
	sweeper *Sweeper
}

// open opens a process that keeps outputs for so long, and listens to changes.
func open(t *testing.T, url string, life time.Duration) *process {
	t.Helper()
	const redisTimeout = 30 * time.Second
	log := slog.New(slog.DiscardHandler)
	c, err := cache.Open(cache.Options{
		URL: url, Prefix: "sc", Retention: 15 * 24 * time.Hour, RetentionOutput: life, Log: log, ReadLimit: redisTimeout, WriteLimit: redisTimeout,
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, c.Run)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	cachetest.Eventually(t, "the change feed works", func() bool { return c.DB().Ready() == nil })
	return &process{c, New(c, log, prometheus.NewRegistry())}
}

// run runs f until the test ends.
func run(t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

// ended returns a success that ended so long ago.
func ended(name string, ago time.Duration) cache.Execution {
	stop := time.Now().Add(-ago).Truncate(time.Millisecond)
	return cache.Execution{
		ARN:    cache.ARN("arn:aws:states:eu-west-1:123456789012:execution:Pipeline:" + name),
		Status: cache.Succeeded, StartDate: stop.Add(-time.Second), StopDate: stop,
		Completeness: cache.Complete, Output: []byte(`{"rules":["` + incompressible() + `"]}`), Source: cache.FromEvent,
	}
}

// incompressible returns 600 characters or more that begin with rrr.
func incompressible() string {
	text := "rrr"
	for len(text) < 600 {
		text += rand.Text()
	}
	return text
}

func (p *process) apply(t *testing.T, executions ...cache.Execution) {
	t.Helper()
	for _, o := range p.Apply(t.Context(), executions) {
		if o.Err != nil {
			t.Fatalf("apply: %v", o.Err)
		}
	}
}

func (p *process) get(t *testing.T, arn cache.ARN) *cache.Record {
	t.Helper()
	r, err := p.Get(t.Context(), arn)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// size returns how many bytes the record of an execution has.
func (p *process) size(t *testing.T, arn cache.ARN) int64 {
	t.Helper()
	n, err := p.DB().Writers.StrLen(t.Context(), p.DB().Names.Execution(string(arn))).Result()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// indexed returns how many entries the indexes have.
func (p *process) indexed(t *testing.T) (n int64) {
	t.Helper()
	for i := range p.DB().Names.Partitions {
		n += p.DB().Writers.ZCard(t.Context(), p.DB().Names.Partitions[i].Outputs).Val()
	}
	return n
}

func (p *process) sweep(t *testing.T) int {
	t.Helper()
	n, err := p.sweeper.Sweep(t.Context())
	if err != nil {
		t.Fatalf("sweep: %v", err)
	}
	return n
}

// TestOutputsAreRemoved: on every kind of Redis, with the least ACL.
func TestOutputsAreRemoved(t *testing.T) {
	t.Parallel()
	cachetest.Each(t, func(t *testing.T, r cachetest.Running) { testRemoval(t, r.URL) }, cachetest.Mini)
	cachetest.Each(t, func(t *testing.T, r cachetest.Running) {
		testRemoval(t, r.LeastURL(t))
		cachetest.NothingRefused(t, r.Servers...)
	}, cachetest.Single, cachetest.Clustered)
}

func testRemoval(t *testing.T, url string) {
	p, other := open(t, url, life), open(t, url, 0) // which hides nothing by itself
	var due, kept []cache.Execution
	for i := range 50 {
		due = append(due, ended(fmt.Sprint("due-", i), life+time.Minute))
		kept = append(kept, ended(fmt.Sprint("kept-", i), life-30*time.Minute))
	}
	p.apply(t, due...)
	p.apply(t, kept...)
	before := p.size(t, due[0].ARN)
	if r := other.get(t, due[0].ARN); r.OutputExpired() {
		t.Fatalf("it is not there before the sweep: %s", r.Plain.Body)
	}
	if n := p.sweep(t); n != len(due) {
		t.Errorf("%d were removed, want %d", n, len(due))
	}
	for i := range due {
		cachetest.Eventually(t, "another process knows of it", func() bool { return other.get(t, due[i].ARN).OutputExpired() })
		if r := p.get(t, kept[i].ARN); r.OutputExpired() || !strings.Contains(string(r.Plain.Body), "rrr") {
			t.Errorf("not due, and it is %s", r.Plain.Body)
		}
	}
	if after := p.size(t, due[0].ARN); after > before/2 {
		t.Errorf("the record has %d bytes, had %d", after, before)
	}
	if n := p.indexed(t); n != int64(len(kept)) {
		t.Errorf("the indexes have %d entries, want %d", n, len(kept))
	}
	p.apply(t, due...) // come again
	if n := p.sweep(t); n != 0 {
		t.Errorf("%d were removed again", n)
	}
	again := due[0]
	again.Completeness, again.OutputFrom = cache.OutputRefetched, time.Now()
	p.apply(t, again)
	cachetest.Eventually(t, "it is whole again", func() bool { return !other.get(t, again.ARN).OutputExpired() })
	if n := p.sweep(t); n != 0 || p.get(t, again.ARN).OutputExpired() {
		t.Errorf("%d were removed, though one was just fetched", n)
	}
}

// TestASweepIsBounded: a partition with much to do does not get all of Redis.
func TestASweepIsBounded(t *testing.T) {
	t.Parallel()
	p := open(t, "redis://"+miniredis.RunT(t).Addr(), life)
	var same []cache.Execution
	for i := 0; len(same) < sweepMost+5; i++ {
		if e := ended(fmt.Sprint(i), life+time.Hour); p.DB().Names.Partition(string(e.ARN)) == &p.DB().Names.Partitions[0] {
			same = append(same, e)
		}
	}
	p.apply(t, same...)
	if n := p.sweep(t); n != sweepMost {
		t.Errorf("%d were removed, want %d", n, sweepMost)
	}
	if n := p.sweep(t); n != 5 {
		t.Errorf("then %d were removed, want 5", n)
	}
}

// TestAWrongIndexIsCorrected: records decide, and none is changed for what its index says.
func TestAWrongIndexIsCorrected(t *testing.T) {
	t.Parallel()
	p := open(t, "redis://"+miniredis.RunT(t).Addr(), life)
	kept, runs, gone, expired := ended("kept", time.Minute), ended("runs", 2*life), ended("gone", 2*life), ended("expired", 2*life)
	runs.Status, runs.StopDate = cache.Running, time.Time{}
	p.apply(t, kept, runs, gone, expired)
	p.sweep(t)
	p.DB().Writers.Del(t.Context(), p.DB().Names.Execution(string(gone.ARN)))
	for _, e := range []cache.Execution{kept, runs, gone, expired} {
		key := p.DB().Names.Partition(string(e.ARN)).Outputs
		if err := p.DB().Writers.ZAdd(t.Context(), key, redis.Z{Score: 1, Member: string(e.ARN)}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if n := p.sweep(t); n != 0 {
			t.Errorf("%d were removed", n)
		}
	}
	if r := p.get(t, kept.ARN); r.OutputExpired() {
		t.Errorf("an output is gone that is kept: %s", r.Plain.Body)
	}
	if r := p.get(t, runs.ARN); r.PublicStatus() != cache.Running {
		t.Errorf("what runs is %s", r.Plain.Body)
	}
	if n := p.indexed(t); n != 1 {
		t.Errorf("the indexes have %d entries, want 1", n)
	}
}

// TestRunRemovesOutputs: without anybody's help, and nothing where outputs are kept as long
// as their records.
func TestRunRemovesOutputs(t *testing.T) {
	t.Parallel()
	url := "redis://" + miniredis.RunT(t).Addr()
	idle, p := open(t, url, 0), open(t, url, life)
	run(t, idle.sweeper.Run)
	run(t, p.sweeper.Run)
	e := ended("run", life-time.Second)
	p.apply(t, e)
	cachetest.Eventually(t, "the output is removed", func() bool { return idle.get(t, e.ARN).OutputExpired() })
}

// TestAnAwaitedOutputExpires: a success that waits for its output when that would expire
// anyway is reported without it.
func TestAnAwaitedOutputExpires(t *testing.T) {
	t.Parallel()
	p := open(t, "redis://"+miniredis.RunT(t).Addr(), life)
	awaited, givenUp := ended("awaited", 2*life), ended("given-up", 2*life)
	awaited.Completeness, awaited.Output = cache.OutputAwaited, nil
	givenUp.Completeness, givenUp.Output = cache.OutputGivenUp, nil
	p.apply(t, awaited, givenUp)
	p.sweep(t)
	for _, arn := range []cache.ARN{awaited.ARN, givenUp.ARN} {
		p.Invalidate(arn)
		if r := p.get(t, arn); !r.OutputExpired() || r.Status != cache.Succeeded {
			t.Errorf("%s: %s", arn.Name(), r.Plain.Body)
		}
	}
}
