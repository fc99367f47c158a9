package cache

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/internal/readbatch"
)

// Found is the answer to one of many reads.
type Found struct {
	Record *Record
	Err    error // ErrNotFound, or why Redis could not be asked
}

// GetMany returns the record of each execution, in their order: from the near cache,
// otherwise in as few round trips to each node as possible. Like Get it never takes
// longer than 300 ms.
func (c *Cache) GetMany(ctx context.Context, arns []ARN) []Found {
	ctx, cancel := context.WithTimeout(ctx, c.db.Limits.Read)
	defer cancel()
	found := make([]Found, len(arns))
	fills := make([]*fill, len(arns))
	var own []readbatch.Read // those that no other caller is reading
	for i, arn := range arns {
		if r, ok := c.Peek(string(arn)); ok {
			found[i].Record = r
			continue
		}
		c.metrics.nearMisses.Inc()
		f, first := c.near.startFill(ctx, arn, "")
		if fills[i] = f; first {
			own = append(own, f)
		}
	}
	c.reads.Do(own...)
	for i, f := range fills {
		if f == nil {
			continue
		}
		select {
		case <-f.done:
			found[i] = Found{f.record, f.err}
		case <-ctx.Done():
			found[i].Err = fmt.Errorf("get %s: %w", arns[i], ctx.Err())
		}
	}
	return found
}

// Outdated returns the executions whose state or owner in Redis differs from the given
// records. It reads only the heads. Executions that cannot be read are left out.
func (c *Cache) Outdated(ctx context.Context, records []*Record) (arns []ARN) {
	ctx, cancel := context.WithTimeout(ctx, c.db.Limits.Read)
	defer cancel()
	pipe := c.db.Readers.Pipeline() // on a cluster it is one for each node
	heads := make([]*redis.StringCmd, len(records))
	for i, r := range records {
		heads[i] = pipe.GetRange(ctx, c.db.Names.Execution(string(r.ARN)), 0, headEnough-1)
	}
	_, _ = pipe.Exec(ctx) // says no more than its commands do
	for i, r := range records {
		if head, err := heads[i].Result(); err == nil && !r.head.SameAs(recordHead(head)) {
			arns = append(arns, r.ARN)
		}
	}
	return arns
}
