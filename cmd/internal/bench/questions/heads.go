package questions

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// Heads is not a question to statusd: a bare Redis client reads what a search reads at least.
// What it takes is what Redis and the machine add to every search.
const Heads = "512 heads of records (the floor of a search)"

// bare is the caller that reads Heads.
var bare = []Caller{{Name: "Redis client"}}

const (
	headsRead   = 512    // at once
	headsOf     = 50_000 // newest Records
	headsLength = 128    // bytes
)

// readHeads reads the first bytes of some of the newest Records, in one round trip.
func (r *run) readHeads(ctx context.Context, caller string, n int, due time.Time) error {
	p, db := r.asking.Population, r.asking.Cache.DB()
	pipe := db.Readers.Pipeline()
	for i := range headsRead {
		back := (n*headsRead + i) % min(headsOf, p.Records)
		pipe.GetRange(ctx, db.Names.Execution(string(p.ARN(p.Records-1-back))), 0, headsLength-1)
	}
	heads, err := pipe.Exec(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", Heads, err)
	}
	length := 0
	for _, head := range heads {
		length += len(head.(*redis.StringCmd).Val())
	}
	r.note(caller, Heads, time.Since(due), length, false)
	return nil
}
