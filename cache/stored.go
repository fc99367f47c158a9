package cache

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/internal/record"
)

// Stored is a record with what readers do not see of it.
type Stored struct {
	Record   *Record
	Exact    Version   // as it is stored; it differs from the record's while an output is awaited
	StoredAt time.Time // when that version was stored, by the clock of Redis
	StopDate time.Time // zero while the execution runs
}

// ReadStored reads the record of arn from its bytes in Redis. b is not kept.
func ReadStored(arn ARN, b []byte) (Stored, error) {
	p, err := takeApart(b)
	if err != nil {
		return Stored{}, err
	}
	r, err := decode(arn, b)
	if err != nil {
		return Stored{}, err
	}
	return Stored{Record: r, Exact: p.head.Version(), StoredAt: p.storedAt(), StopDate: r.stopDate}, nil
}

// storedAt returns when the version of the record was stored. The date in the head
// is no help while an output is awaited: it is that of the run, as readers see it.
func (p *parts) storedAt() time.Time {
	trail, err := p.observations()
	for i := len(trail) - 1; i >= 0 && err == nil; i-- {
		if trail[i].Verdict == Applied && trail[i].Version == p.head.Version() {
			return trail[i].AppliedAt
		}
	}
	return p.head.Observed()
}

// Versions returns the version of each execution as it is stored, empty where
// nothing is known.
func (c *Cache) Versions(ctx context.Context, arns []ARN) ([]Version, error) {
	ctx, cancel := context.WithTimeout(ctx, c.db.Limits.Batch)
	defer cancel()
	if len(arns) == 0 {
		return nil, nil
	}
	pipe := c.db.Writers.Pipeline()
	cmds := make([]*redis.StringCmd, len(arns))
	for i, arn := range arns {
		cmds[i] = pipe.GetRange(ctx, c.db.Names.Execution(string(arn)), 0, record.HashAt-1)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("read versions: %w", err)
	}
	all := make([]Version, len(arns))
	for i, cmd := range cmds {
		if head := recordHead(cmd.Val()); head.HasVersion() {
			all[i] = head.Version()
		}
	}
	return all, nil
}

// Head is what the beginning of a record says.
type Head struct {
	Version   Version   // as it is stored
	Seen      time.Time // when the execution became known, by the clock of Redis
	Ownerless bool
}

// HeadLength is how many bytes of a record ReadHead needs.
const HeadLength = headEnough

// ReadHead reads the beginning of a record; ok is false if that is not there.
func ReadHead(text string) (h Head, ok bool) {
	head := recordHead(text)
	if !head.Enough() {
		return h, false
	}
	return Head{Version: head.Version(), Seen: head.Seen(), Ownerless: head.Ownerless()}, true
}
