package lists

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache"
	"statuscache/cache/internal/indexes"
	"statuscache/cache/internal/monotonic"
	"statuscache/cache/internal/redisdb"
)

const (
	// newestRead is how many of the newest members of an index are read each time. More
	// members rarely enter it within a second.
	newestRead = 32
	// completeEvery is how often an index is read completely in any case. It bounds how long counts
	// lack a change that changed neither the ends nor the length of an index.
	completeEvery = time.Minute
	// completeAtOnce is how many indexes are read completely in one round trip.
	completeAtOnce = 16
)

// recents are the members of some indexes: the recent index of each partition, or the index
// of an owner. From each index it reads the newest members, the oldest member and the number
// of members. If these match the known members, usually nothing else has changed. Otherwise,
// and from time to time, it reads the whole index.
type recents struct {
	db            *redisdb.DB
	keys          []string
	completeEvery time.Duration // at most; some are read earlier, so that few are due at the same time

	mu sync.Mutex // one read at a time
	of []recent   // by key
}

func newRecents(db *redisdb.DB, completeEvery time.Duration, keys ...string) *recents {
	return &recents{db: db, keys: keys, completeEvery: completeEvery, of: make([]recent, len(keys))}
}

// recentKeys returns the keys of the recent indexes of all partitions.
func recentKeys(names *redisdb.Names) []string {
	keys := make([]string, len(names.Partitions))
	for i := range names.Partitions {
		keys[i] = names.Partitions[i].Recent
	}
	return keys
}

// recent has the last read members of an index.
type recent struct {
	members    []indexes.Member // by start date, the oldest first
	seen       []cache.Seen     // their executions
	completeAt int64            // by the monotonic clock, when the whole of it was read; 0: never
}

// count counts the executions in the indexes by status. It leaves out executions if
// Redis has lost the name of their state machine.
func (r *recents) count(ctx context.Context, c *cache.Cache) (n Counts, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.read(ctx); err != nil {
		return n, err
	}
	all := make([][]cache.Seen, len(r.of))
	for i := range r.of {
		all[i] = r.of[i].seen
	}
	if err := cache.LookUp(ctx, c, all); err != nil {
		return n, err
	}
	for i := range r.of {
		r.of[i].eachOnce(func(s *cache.Seen) { n.add(s.Status) })
	}
	return n, nil
}

// read reads the members of all indexes.
func (r *recents) read(ctx context.Context) error {
	stale, err := r.readOn(ctx)
	for some := range slices.Chunk(stale, completeAtOnce) {
		if err == nil {
			err = r.readComplete(ctx, some)
		}
	}
	if err != nil {
		return fmt.Errorf("read indexes: %w", err)
	}
	return nil
}

// readOn reads the new members of each index, and returns the indexes that must be read completely.
func (r *recents) readOn(ctx context.Context) (stale []int, err error) {
	pipe := r.db.Readers.Pipeline()
	newest, oldest := make([]*redis.StringSliceCmd, len(r.of)), make([]*redis.StringSliceCmd, len(r.of))
	lengths := make([]*redis.IntCmd, len(r.of))
	for i, key := range r.keys {
		if r.of[i].completeAt != 0 {
			newest[i], oldest[i], lengths[i] = pipe.ZRange(ctx, key, -newestRead, -1), pipe.ZRange(ctx, key, 0, 0), pipe.ZCard(ctx, key)
		}
	}
	if pipe.Len() > 0 {
		if _, err := pipe.Exec(ctx); err != nil {
			return nil, err
		}
	}
	for i := range r.of {
		p, fits := &r.of[i], false
		due := r.completeEvery / time.Duration(2*len(r.of)) * time.Duration(len(r.of)+i)
		if p.completeAt != 0 && monotonic.Now()-p.completeAt <= int64(due) {
			members, err := indexes.Resolve(ctx, r.db, newest[i].Val())
			if err != nil {
				return nil, err
			}
			fits = p.add(members, oldest[i].Val(), lengths[i].Val())
		}
		if !fits {
			p.completeAt = 0 // until it has been
			stale = append(stale, i)
		}
	}
	return stale, nil
}

// readComplete reads some indexes completely.
func (r *recents) readComplete(ctx context.Context, some []int) error {
	pipe := r.db.Readers.Pipeline()
	cmds := make([]*redis.StringSliceCmd, len(some))
	begun := max(monotonic.Now(), 1)
	for n, i := range some {
		cmds[n] = pipe.ZRange(ctx, r.keys[i], 0, -1)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	for n, i := range some {
		members, err := indexes.Resolve(ctx, r.db, cmds[n].Val())
		if err != nil {
			return err
		}
		r.of[i].replace(0, members)
		r.of[i].completeAt = begun
	}
	return nil
}

// add adds the newest members of an index, given its oldest member and its number of
// members. It reports whether these match the known members.
func (p *recent) add(newest []indexes.Member, oldest []string, length int64) bool {
	if int64(len(newest)) >= length {
		p.replace(0, newest)
		return int64(len(newest)) == length
	}
	if len(newest) == 0 {
		return false
	}
	overlap := max(0, len(p.members)-2*newestRead)
	at := slices.IndexFunc(p.members[overlap:], func(m indexes.Member) bool { return m.Text == newest[0].Text })
	if at < 0 {
		return false
	}
	p.replace(overlap+at, newest)
	first := int64(len(p.members)) - length
	if first < 0 || len(oldest) == 0 || p.members[first].Text != oldest[0] {
		return false
	}
	p.members, p.seen = p.members[first:], p.seen[first:]
	return true
}

// replace replaces the members from a place on. Those that stay in their places are not looked
// up again.
func (p *recent) replace(from int, members []indexes.Member) {
	same := 0
	for same < len(members) && from+same < len(p.members) && members[same] == p.members[from+same] {
		same++
	}
	from, members = from+same, members[same:]
	p.members, p.seen = append(p.members[:from], members...), p.seen[:from]
	for _, m := range members {
		p.seen = append(p.seen, cache.Seen{ARN: m.ARN})
	}
}

// eachOnce calls f with each execution, once.
func (p *recent) eachOnce(f func(*cache.Seen)) {
	var known map[cache.ARN]bool
	if indexes.Mixed(p.members) {
		known = make(map[cache.ARN]bool, len(p.seen))
	}
	for i := range p.seen {
		arn := p.seen[i].ARN
		if arn == "" || known[arn] {
			continue
		}
		if known != nil {
			known[arn] = true
		}
		f(&p.seen[i])
	}
}
