package lists

import (
	"context"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"

	"statuscache/cache"
	"statuscache/cache/internal/indexes"
	"statuscache/cache/internal/redisdb"
)

// index is the entries that a query may be about, in their order.
type index struct {
	db     *redisdb.DB
	after  Position
	found  map[cache.ARN]bool // first of the parts, wherever other parts have them
	lowest string             // least start date, in ms
	size   int64              // of what is read next of each part
	parts  []indexPart
}

// indexPart is one key of an index, of which some has been read.
type indexPart struct {
	key    string
	offset int64 // of what is read next, from the start of the query
	more   int64 // to be read at once, beyond the size of the others
	read   []Position
	last   Position // that was read
	whole  bool     // there is no more
}

// maxIndexRead is how many entries of a part are read at once, at most.
const maxIndexRead = 256

func (r *Reader) index(ctx context.Context, q *Query) (*index, error) {
	x := &index{db: r.db, after: q.after(), found: map[cache.ARN]bool{}, lowest: q.lowest(), size: listBatch}
	found, err := r.find(ctx, q)
	if err != nil {
		return nil, err
	}
	x.parts = []indexPart{{whole: true}}
	for _, p := range found {
		x.found[p.ARN] = true
		if p.behind(q.After) {
			x.parts[0].read = append(x.parts[0].read, p)
		}
	}
	switch {
	case q.Execution != "":
	case !q.All:
		x.parts = append(x.parts, indexPart{key: r.db.Names.Owner(q.Owner)})
	default:
		x.size = 8 + 2*listBatch/int64(len(r.db.Names.Partitions)) // they have about the same share each
		for i := range r.db.Names.Partitions {
			p := &r.db.Names.Partitions[i]
			key := p.Recent
			if q.onlyRunning() {
				key = p.Running
			}
			x.parts = append(x.parts, indexPart{key: key})
		}
	}
	return x, nil
}

// next returns the next n entries; fewer only at the end.
func (x *index) next(ctx context.Context, n int) ([]Position, error) {
	all := make([]Position, 0, n)
	for len(all) < n {
		if err := x.fill(ctx); err != nil {
			return nil, err
		}
		first := x.first()
		if first == nil {
			break
		}
		// One that was found is in an index too, which may have it at the start date of its registration.
		if p := first.read[0]; first == &x.parts[0] || !x.found[p.ARN] {
			all = append(all, p)
		}
		first.read = first.read[1:]
	}
	return all, nil
}

// first returns the part with the next entry, nil at the end of all.
func (x *index) first() (first *indexPart) {
	for i := range x.parts {
		p := &x.parts[i]
		if len(p.read) > 0 && (first == nil || first.read[0].behind(p.read[0])) {
			first = p
		}
	}
	return first
}

// fill reads on where nothing is left, in one round trip to each node. What is nearly
// used up is read on as well, and each time more, so that a long list takes few trips.
func (x *index) fill(ctx context.Context) error {
	if !slices.ContainsFunc(x.parts, func(p indexPart) bool { return len(p.read) == 0 && !p.whole }) {
		return nil
	}
	pipe := x.db.Readers.Pipeline()
	var cmds []*redis.ZSliceCmd
	var low []*indexPart
	highest := "+inf"
	if x.after != (Position{}) {
		highest = strconv.FormatInt(x.after.Start, 10)
	}
	for i := range x.parts {
		p := &x.parts[i]
		if int64(len(p.read)) > x.size/4 || p.whole {
			continue
		}
		low = append(low, p)
		cmds = append(cmds, pipe.ZRevRangeByScoreWithScores(ctx, p.key, &redis.ZRangeBy{
			Max: highest, Min: x.lowest, Offset: p.offset, Count: x.size + p.more,
		}))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	for i, p := range low {
		if err := p.take(ctx, x, cmds[i].Val()); err != nil {
			return err
		}
	}
	x.size = min(2*x.size, maxIndexRead)
	return x.fill(ctx) // a part may hold nothing but entries before the position
}

// take adds what was read of a part. Entries of one start date are ordered by what the index
// has of them, which may not be their ARNs, so none of them is taken before all are there.
func (p *indexPart) take(ctx context.Context, x *index, got []redis.Z) error {
	if p.whole = int64(len(got)) < x.size+p.more; !p.whole {
		n := len(got)
		for n > 0 && got[n-1].Score == got[len(got)-1].Score {
			n--
		}
		if p.more = 0; n == 0 {
			p.more = 2 * int64(len(got))
		}
		got = got[:n]
	}
	p.offset += int64(len(got))
	entries, err := indexes.Entries(ctx, x.db, got)
	if err != nil {
		return err
	}
	for _, e := range entries {
		at := Position(e)
		if at.behind(x.after) && at.behind(p.last) { // what is entered meanwhile shifts the rest
			p.read, p.last = append(p.read, at), at
		}
	}
	return nil
}
