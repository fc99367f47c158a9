package cache

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/bounded"
	"statuscache/cache/internal/redisdb"
	"statuscache/cache/internal/uptime"
)

const (
	maxStatuses    = 200_000 // remembered
	maxStatusBatch = 1000    // asked for in one round trip
	statusLife     = terminalNearLife
)

// statusCache knows the statuses of many executions, for lists and counts, which do not
// need their answers. It asks Redis for the first bytes of records only, and
// remembers them as long as the change feed vouches for them, as the near cache
// does.
type statusCache struct {
	db   *redisdb.DB
	near *near
	kept bounded.ByText[statusEntry]
	seed maphash.Seed
	// changes counts what was announced, by hash: a status that was read before a
	// change was heard is not kept.
	changes [1024]atomic.Uint32
}

type statusEntry struct {
	status     Status // of the public API; empty: there is no record
	until      int64  // by uptime
	generation uint64 // of near
}

func newStatusCache(db *redisdb.DB, near *near) *statusCache {
	return &statusCache{
		db: db, near: near, seed: maphash.MakeSeed(),
		kept: bounded.NewByText[statusEntry](maxStatuses),
	}
}

func (h *statusCache) changesOf(arn ARN) *atomic.Uint32 {
	return &h.changes[maphash.String(h.seed, string(arn))%uint64(len(h.changes))]
}

// forget drops what is known of an execution because it has changed.
func (h *statusCache) forget(arn ARN) {
	h.changesOf(arn).Add(1)
	h.kept.Delete(string(arn))
}

// statuses returns the public status of each execution, empty where there is no
// record.
func (h *statusCache) statuses(ctx context.Context, arns []ARN) ([]Status, error) {
	all := make([]Status, len(arns))
	var missing []int
	now, generation, trusted := uptime.Now(), h.near.generation.Load(), h.near.trusted()
	for i, arn := range arns {
		if e, ok := h.kept.Get(string(arn)); ok && trusted && now < e.until && e.generation == generation {
			all[i] = e.status
		} else {
			missing = append(missing, i)
		}
	}
	for some := range slices.Chunk(missing, maxStatusBatch) {
		if err := h.read(ctx, arns, some, generation, all); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Statuses returns the status of each execution as the public API has it, empty where there
// is no record.
func (c *Cache) Statuses(ctx context.Context, arns []ARN) ([]Status, error) {
	return c.statuses.statuses(ctx, arns)
}

// read asks Redis for the statuses of some of the executions.
func (h *statusCache) read(ctx context.Context, arns []ARN, some []int, generation uint64, all []Status) error {
	ctx, cancel := context.WithTimeout(ctx, h.db.Limits.Read)
	defer cancel()
	pipe := h.db.Readers.Pipeline() // on a cluster it is one for each node
	cmds := make([]*redis.StringCmd, len(some))
	before := make([]uint32, len(some))
	for n, i := range some {
		before[n] = h.changesOf(arns[i]).Load()
		cmds[n] = pipe.GetRange(ctx, h.db.Names.Execution(string(arns[i])), 0, hashAt-1)
	}
	_, _ = pipe.Exec(ctx) // says no more than its commands do
	for n, i := range some {
		head, err := cmds[n].Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return fmt.Errorf("read the heads of executions: %w", err)
		}
		all[i] = statusOfHead(head)
		h.keep(arns[i], statusEntry{all[i], uptime.Now() + int64(statusLife), generation}, before[n])
	}
	return nil
}

func (h *statusCache) keep(arn ARN, e statusEntry, before uint32) {
	changes := h.changesOf(arn)
	if changes.Load() != before {
		return
	}
	h.kept.Set(string(arn), e)
	if changes.Load() != before { // announced between the two lines above
		h.kept.Delete(string(arn))
	}
}

// statusOfHead returns the public status that the format byte and the version of a
// record say.
func statusOfHead(head string) Status {
	if len(head) < hashAt || !knownFormat(head[0]) {
		return ""
	}
	v := recordHead(head).version()
	switch rank := v[rankAt]; {
	case rank < '3' || v.awaitsOutput():
		return Running
	case rank == '6':
		return Succeeded
	}
	return Failed
}
