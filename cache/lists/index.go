package lists

import (
	"container/heap"
	"context"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"statuscache/cache"
	"statuscache/cache/internal/indexes"
	"statuscache/cache/internal/redisdb"
	"statuscache/cache/singleflight"
)

// index reads the index entries that a query may match, in their order.
type index struct {
	db          *redisdb.DB
	after       Position
	found       map[cache.ARN]bool // read from the first part, even if other parts have them too
	lowest      string             // least start date, in ms
	parts       []indexPart
	filledParts partHeap // the parts with entries
	filled      bool     // no part lacks entries
	least       int      // minimum number of entries to read at once
}

// indexPart is one key of an index, and the entries that have been read from it.
type indexPart struct {
	key      string
	highest  string // start date in ms from which to read on; entries above have been read
	more     int64  // how many more entries than from the other parts to read at once
	read     []Position
	last     Position // that was read
	complete bool     // there is no more
}

// spareEntries is how many entries more than its share are read from each part. Some parts
// have more of the newest executions than others. Also, the last entries of a part wait for
// others with the same start date.
const spareEntries = 6

// index returns the index for a query, after it has read about n entries.
func (r *Reader) index(ctx context.Context, q *Query, n int) (*index, error) {
	x := &index{db: r.db, after: q.after(), found: map[cache.ARN]bool{}, lowest: q.lowest()}
	if q.All && q.selects() {
		x.least = maxLooked // nearly all will be looked at
	}
	x.parts = []indexPart{{complete: true}}
	for _, key := range r.indexKeys(q) {
		x.parts = append(x.parts, indexPart{key: key, highest: x.highest()})
	}
	var found []Position
	var reads errgroup.Group
	reads.Go(func() (err error) {
		defer singleflight.Recover(&err)
		found, err = r.find(ctx, q)
		return err
	})
	reads.Go(func() (err error) {
		defer singleflight.Recover(&err)
		return x.fill(ctx, n)
	})
	if err := reads.Wait(); err != nil {
		return nil, err
	}
	for _, p := range found {
		x.found[p.ARN] = true
		if p.behind(q.After) {
			x.parts[0].read = append(x.parts[0].read, p)
		}
	}
	return x, nil
}

// indexKeys returns the keys of the index for a query.
func (r *Reader) indexKeys(q *Query) (keys []string) {
	switch {
	case q.Execution != "":
	case !q.All:
		keys = append(keys, r.db.Names.Owner(q.Owner))
	default:
		for i := range r.db.Names.Partitions {
			p := &r.db.Names.Partitions[i]
			if q.onlyRunning() {
				keys = append(keys, p.Running)
			} else {
				keys = append(keys, p.Recent)
			}
		}
	}
	return keys
}

// highest returns the start date from which the parts are read.
func (x *index) highest() string {
	if x.after == (Position{}) {
		return "+inf"
	}
	return strconv.FormatInt(x.after.Start, 10)
}

// next returns the next n entries; fewer only at the end.
func (x *index) next(ctx context.Context, n int) ([]Position, error) {
	all := make([]Position, 0, n)
	for len(all) < n {
		if !x.filled {
			if err := x.fill(ctx, n); err != nil {
				return nil, err
			}
			x.filledParts, x.filled = newPartHeap(x.parts), true
		}
		if len(x.filledParts) == 0 {
			break
		}
		// An execution that was found by name is also in an index, perhaps with the start date
		// of its registration.
		first := x.filledParts[0]
		if p := first.read[0]; first == &x.parts[0] || !x.found[p.ARN] {
			all = append(all, p)
		}
		x.advance(first)
	}
	return all, nil
}

// advance drops the next entry, which is that of the given part.
func (x *index) advance(first *indexPart) {
	switch first.read = first.read[1:]; {
	case len(first.read) > 0:
		heap.Fix(&x.filledParts, 0)
	case first.complete:
		heap.Pop(&x.filledParts)
	default:
		x.filled = false
	}
}

// partHeap is a heap of parts that have entries. The first has the next entry of all.
type partHeap []*indexPart

func newPartHeap(parts []indexPart) (h partHeap) {
	for i := range parts {
		if len(parts[i].read) > 0 {
			h = append(h, &parts[i])
		}
	}
	heap.Init(&h)
	return h
}

// Len implements heap.Interface, as the methods below do.
func (h partHeap) Len() int { return len(h) }

// Less reports whether the next entry of part i is before that of part j.
func (h partHeap) Less(i, j int) bool { return h[j].read[0].behind(h[i].read[0]) }

// Swap exchanges two parts.
func (h partHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push adds a part.
func (h *partHeap) Push(part any) { *h = append(*h, part.(*indexPart)) }

// Pop removes the last part.
func (h *partHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// fill reads more entries of parts that have none left, in one round trip to each node,
// about n in total. It also reads parts that are nearly used up, so that a long list takes
// few round trips.
func (x *index) fill(ctx context.Context, n int) error {
	if !slices.ContainsFunc(x.parts, func(p indexPart) bool { return len(p.read) == 0 && !p.complete }) {
		return nil
	}
	// The parts have about the same size.
	size := int64(max(n, x.least)/max(1, len(x.parts)-1))*5/4 + spareEntries
	pipe := x.db.Readers.Pipeline()
	var cmds []*redis.ZSliceCmd
	var low []*indexPart
	for i := range x.parts {
		p := &x.parts[i]
		if int64(len(p.read)) > size/4 || p.complete {
			continue
		}
		low = append(low, p)
		cmds = append(cmds, pipe.ZRevRangeByScoreWithScores(ctx, p.key, &redis.ZRangeBy{Max: p.highest, Min: x.lowest, Count: size + p.more}))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	for i, p := range low {
		if err := p.take(ctx, x, cmds[i].Val(), size+p.more); err != nil {
			return err
		}
	}
	return x.fill(ctx, n) // a part may have only entries before the position
}

// take adds the entries that were read from a part. If there are more, as many as requested
// were read. Entries with the same start date are ordered by their members, which may not be
// ARNs, so they are only taken when all of them have been read.
func (p *indexPart) take(ctx context.Context, x *index, got []redis.Z, wanted int64) error {
	if p.complete = int64(len(got)) < wanted; !p.complete {
		lowest := got[len(got)-1].Score
		n := len(got)
		for n > 0 && got[n-1].Score == lowest {
			n--
		}
		if p.more = 0; n == 0 {
			p.more = 2 * int64(len(got))
		}
		got, p.highest = got[:n], strconv.FormatInt(int64(lowest), 10)
	}
	entries, err := indexes.Entries(ctx, x.db, got)
	if err != nil {
		return err
	}
	for _, e := range entries {
		at := Position(e)
		if at.behind(x.after) && at.behind(p.last) {
			p.read, p.last = append(p.read, at), at
		}
	}
	return nil
}
