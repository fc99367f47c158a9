package cache

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// outdated returns the executions of which Redis has another state, or another
// owner, than the records say. It asks for the heads only. What cannot be asked
// for is left out.
func (c *Cache) outdated(ctx context.Context, records []*Record) (arns []ARN) {
	ctx, cancel := context.WithTimeout(ctx, c.db.ReadLimit())
	defer cancel()
	pipe := c.db.Readers.Pipeline() // on a cluster it is one for each node
	heads := make([]*redis.StringCmd, len(records))
	for i, r := range records {
		heads[i] = pipe.GetRange(ctx, c.db.Names.Execution(string(r.ARN)), 1, headLength-1)
	}
	_, _ = pipe.Exec(ctx) // says no more than its commands do
	for i, r := range records {
		if head, err := heads[i].Result(); err == nil && !r.sameHead(head) {
			arns = append(arns, r.ARN)
		}
	}
	return arns
}

// sameHead reports whether a head speaks of the same state and owner. When that
// was observed does not matter. An owner that changes has another rank.
func (r *Record) sameHead(head string) bool {
	const state, owner = 40, 80 // version and hash; rank and lengths
	const end = owner + 6
	return len(head) >= end && len(r.head) >= end && head[:state] == r.head[:state] && head[owner:end] == r.head[owner:end]
}
