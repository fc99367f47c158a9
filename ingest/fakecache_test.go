package ingest

import (
	"context"
	"maps"
	"sync"
	"time"

	"statuscache/cache"
	"statuscache/ingest/event"
)

// redisWriteLimit is how long package cache waits for an answer to a write.
const redisWriteLimit = 500 * time.Millisecond

// fakeCache keeps the greatest version of each execution.
type fakeCache struct {
	mu      sync.Mutex
	records map[cache.ARN]string // version and status

	mismatched []cache.ARN

	frozen     bool // no answer to anything
	refusing   bool // errors at once
	beforePing func(context.Context)
	applyFault func(e *cache.Execution) error // not applied
	lostReply  func(e *cache.Execution) error // applied, and not confirmed
	slow       time.Duration                  // of every Apply
	hang       bool                           // Apply and Ping return when their context ends
}

func newFakeCache() *fakeCache { return &fakeCache{records: map[cache.ARN]string{}} }

// with runs f while nobody else looks at the cache.
func (c *fakeCache) with(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// Apply implements Applier.
func (c *fakeCache) Apply(ctx context.Context, batch []cache.Execution) []cache.Outcome {
	outcomes := make([]cache.Outcome, len(batch))
	err := c.answer(ctx, c.slow)
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range batch {
		if outcomes[i].Err = err; err == nil {
			outcomes[i] = c.join(&batch[i])
		}
		if outcomes[i].Err != nil {
			outcomes[i].Verdict = cache.Unconfirmed
		}
	}
	return outcomes
}

func (c *fakeCache) join(e *cache.Execution) cache.Outcome {
	if c.applyFault != nil {
		if err := c.applyFault(e); err != nil {
			return cache.Outcome{Err: err}
		}
	}
	if e.StartDate.Before(tooOld) {
		return cache.Outcome{Verdict: cache.Expired}
	}
	outcome := cache.Outcome{Verdict: cache.Superseded}
	if state := stateOf(e); state > c.records[e.ARN] {
		c.records[e.ARN], outcome.Verdict = state, cache.Applied
	}
	if c.lostReply != nil {
		outcome.Err = c.lostReply(e)
	}
	return outcome
}

// tooOld is before Step Functions began.
var tooOld = time.Date(2016, 1, 1, 0, 0, 0, 0, time.UTC)

func stateOf(e *cache.Execution) string { return string(e.Version()) + " " + string(e.Status) }

// Ping implements Applier.
func (c *fakeCache) Ping(ctx context.Context) error {
	if c.beforePing != nil {
		c.beforePing(ctx)
	}
	return c.answer(ctx, 0)
}

// answer takes its time, or fails as a Redis that is frozen makes a call fail.
func (c *fakeCache) answer(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	frozen, refusing, hang := c.frozen, c.refusing, c.hang
	c.mu.Unlock()
	switch {
	case hang:
		<-ctx.Done()
	case frozen:
		sleep(ctx, redisWriteLimit)
		return errFault
	case refusing:
		return errFault
	case d > 0:
		sleep(ctx, d)
	}
	return ctx.Err()
}

// Versions implements Versions.
func (c *fakeCache) Versions(ctx context.Context, arns []cache.ARN) ([]cache.Version, error) {
	if err := c.answer(ctx, 0); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	versions := make([]cache.Version, len(arns))
	for i, arn := range arns {
		versions[i], _ = cache.ParseVersion(c.records[arn])
	}
	return versions, nil
}

// AddMismatches implements Mismatches.
func (c *fakeCache) AddMismatches(_ context.Context, arns []cache.ARN) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mismatched = append(c.mismatched, arns...)
	return nil
}

// state returns a copy of what is known.
func (c *fakeCache) state() map[cache.ARN]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.records)
}

// joined returns what must be known after the messages with these bodies,
// in any order. Those that cannot be decoded tell nothing.
func joined(bodies ...string) map[cache.ARN]string {
	known := newFakeCache()
	for _, body := range bodies {
		events, _ := new(event.Decoder).DecodeAll([]byte(body))
		for i := range events {
			known.join(&events[i])
		}
	}
	return known.records
}
