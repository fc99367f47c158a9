package cache

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"statuscache/cache/boundedmap"
	"statuscache/cache/internal/monotonic"
	"statuscache/cache/internal/readbatch"
	"statuscache/cache/internal/redisdb"
	"statuscache/cache/singleflight"
)

// DefaultNearBytes is the default bound of the near cache.
const DefaultNearBytes = 128 << 20

// The maximum lifetime of an entry, even while the feed works. It bounds faults that are
// not detected.
const (
	runningNearLife  = 5 * time.Second
	terminalNearLife = 60 * time.Second
)

// near is the near cache: records that this process has read and may send again. An entry
// may be sent while the feed is known to receive every change, if none has named the
// execution since the read began.
//
// It also has the reads in progress (fills). Concurrent misses of one execution share one
// read, and its result is not kept if a change is notified meanwhile.
type near struct {
	records boundedmap.ByText[nearEntry]
	seed    maphash.Seed
	shards  [64]fillShard
	limit   time.Duration // of one read
	// outputLife is how long outputs are kept; 0: as long as their records.
	outputLife time.Duration
	trust      *redisdb.Trust
	names      *redisdb.Names

	// generation counts how often everything was dropped.
	generation atomic.Uint64
}

type nearEntry struct {
	record     *Record
	until      int64 // by the monotonic clock
	generation uint64
}

// fill is one read from Redis in progress. record and err are set before done is closed.
type fill struct {
	near       *near
	arn        ARN
	base       context.Context // values of the first caller; it never ends
	generation uint64
	deadline   time.Time
	done       chan struct{}
	record     *Record
	err        error
}

// ended is the done channel of reads that have already ended.
var ended = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

type fillShard struct {
	mu    sync.Mutex
	fills map[ARN]*fill
	_     [40]byte // a cache line of its own
}

func newNear(bytes int64, trust *redisdb.Trust) *near {
	n := &near{seed: maphash.MakeSeed(), trust: trust}
	n.records = boundedmap.NewWeighedByText(uint64(bytes), func(_ string, e nearEntry) uint32 { return e.record.weight() })
	for i := range n.shards {
		n.shards[i].fills = map[ARN]*fill{}
	}
	return n
}

// weight is the approximate size of a record in memory, in bytes.
func (r *Record) weight() uint32 {
	const fixed = 1024 // the structures, the header values and the cache's own
	n := fixed + len(r.ARN) + len(r.Owner) + len(r.labels) + len(r.Plain.Body)
	if r.Gzip != nil {
		n += len(r.Gzip.Body)
	}
	return uint32(n)
}

// get returns the record of an execution if it is known to be current.
func (n *near) get(arn string) (*Record, bool) {
	now := monotonic.Now()
	if !n.trust.Holds(now) {
		return nil, false
	}
	e, ok := n.records.Get(arn)
	if !ok || now >= e.until || e.generation != n.generation.Load() {
		return nil, false
	}
	return e.record, true
}

// trusted reports whether entries may be sent.
func (n *near) trusted() bool { return n.trust.Holds(monotonic.Now()) }

// clear drops everything. The results of reads in progress are not kept.
func (n *near) clear() {
	n.generation.Add(1)
	n.records.Clear()
}

// forget drops an execution because its record has changed. Later callers do not join a
// read that began before.
func (n *near) forget(arn ARN) {
	s := n.shard(arn)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.fills, arn)
	n.records.Delete(string(arn))
}

// startFill returns the read of arn in progress, or one that has ended with at least
// version v since the caller checked. Otherwise it starts a read: then first is true, and
// the caller must make sure that endFill is called.
func (n *near) startFill(ctx context.Context, arn ARN, v Version) (f *fill, first bool) {
	s := n.shard(arn)
	s.mu.Lock()
	defer s.mu.Unlock()
	generation := n.generation.Load()
	if f, ok := s.fills[arn]; ok && f.generation == generation {
		return f, false
	}
	if r, ok := n.get(string(arn)); ok && r.Version >= v {
		return &fill{done: ended, record: r}, false
	}
	f = &fill{
		near:       n,
		arn:        arn,
		base:       context.WithoutCancel(ctx), // other callers may wait for it after the first one has gone
		generation: generation,
		deadline:   time.Now().Add(n.limit),
		done:       make(chan struct{}),
	}
	s.fills[arn] = f
	return f, true
}

// Key implements readbatch.Read, as the methods below do.
func (f *fill) Key() string { return f.near.names.Execution(string(f.arn)) }

// Base returns the values of the first caller's context.
func (f *fill) Base() context.Context { return f.base }

// Deadline is when the read fails.
func (f *fill) Deadline() time.Time { return f.deadline }

// End receives the bytes of the record.
func (f *fill) End(v readbatch.Value, err error) {
	r, err := f.decode(v, err)
	if err != nil && !errors.Is(err, ErrNotFound) {
		err = fmt.Errorf("get %s: %w", f.arn, err)
	}
	f.near.endFill(f, r, err)
}

func (f *fill) decode(v readbatch.Value, failed error) (r *Record, err error) {
	defer singleflight.Recover(&err) // a damaged record must not end the process
	switch {
	case failed != nil:
		return nil, failed
	case !v.Found:
		return nil, ErrNotFound
	}
	if r, err = decode(f.arn, []byte(v.Text)); err != nil {
		return nil, err
	}
	return r.shown(f.near.outputLife, time.Now()), nil
}

// endFill passes the result of a read to all waiting callers, and keeps it unless it may
// already be out of date.
func (n *near) endFill(f *fill, r *Record, err error) {
	f.record, f.err = r, err
	s := n.shard(f.arn)
	s.mu.Lock()
	if s.fills[f.arn] == f { // otherwise a change was notified in the meantime
		delete(s.fills, f.arn)
		if err == nil {
			n.keep(r, f.generation)
		}
	}
	s.mu.Unlock()
	close(f.done)
}

// keep is called with the shard locked, so that forget cannot run at the same time.
func (n *near) keep(r *Record, generation uint64) {
	life := runningNearLife
	if r.Terminal {
		life = terminalNearLife
	}
	life -= rand.N(life / 4) // entries that were read together expire at different times
	if left, expires := r.outputLeft(n.outputLife, time.Now()); expires {
		life = min(life, left)
	}
	n.records.Set(string(r.ARN), nearEntry{r, monotonic.Now() + int64(life), generation})
}

func (n *near) shard(arn ARN) *fillShard {
	return &n.shards[maphash.String(n.seed, string(arn))%uint64(len(n.shards))]
}
