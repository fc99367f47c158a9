package cache

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// Outdated returns the executions of which Redis has another state, or another
// owner, than the records say. It asks for the heads only. What cannot be asked
// for is left out.
func (c *Cache) Outdated(ctx context.Context, records []*Record) (arns []ARN) {
	ctx, cancel := context.WithTimeout(ctx, c.db.ReadLimit())
	defer cancel()
	pipe := c.db.Readers.Pipeline() // on a cluster it is one for each node
	heads := make([]*redis.StringCmd, len(records))
	for i, r := range records {
		heads[i] = pipe.GetRange(ctx, c.db.Names.Execution(string(r.ARN)), 0, payloadLengthAt-1)
	}
	_, _ = pipe.Exec(ctx) // says no more than its commands do
	for i, r := range records {
		if head, err := heads[i].Result(); err == nil && !r.head.sameAs(recordHead(head)) {
			arns = append(arns, r.ARN)
		}
	}
	return arns
}
