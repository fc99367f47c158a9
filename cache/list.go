package cache

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Query asks for executions, the newest start date first.
type Query struct {
	Owner        string   // whose; ignored with All
	All          bool     // everybody's
	Status       Status   // Running, Succeeded or Failed as the public API has them; empty: all
	StateMachine string   // ARN; children of its Distributed Maps count as its own; empty: all
	After        Position // where the page before ended; zero: begin with the newest
	Limit        int
}

// Position is a place in the order of a list: by start date, then by ARN, both
// descending. It stays what it is whatever is inserted elsewhere.
type Position struct {
	Start int64 // ms
	ARN   ARN
}

// behind reports whether p comes after q. Everything is behind the zero Position.
func (p Position) behind(q Position) bool {
	if q == (Position{}) || p.Start != q.Start {
		return q == (Position{}) || p.Start < q.Start
	}
	return p.ARN < q.ARN
}

// Page is a part of a list.
type Page struct {
	Executions []*Record
	Next       Position // After of the next page; zero: there is none
}

const (
	listLimit = time.Second
	// listBatch is how many entries of an index are looked at together.
	listBatch = 256
	// maxLooked bounds the work for one page. Where a filter lets hardly anything
	// through, a page is short and says where to go on.
	maxLooked = 20_000
)

// List returns a page of executions. It takes a second at most.
func (c *Cache) List(ctx context.Context, q Query) (Page, error) {
	ctx, cancel := context.WithTimeout(ctx, max(listLimit, c.db.Limits.Read))
	defer cancel()
	page := Page{}
	index := c.index(q)
	for looked := 0; ; looked += listBatch {
		batch, err := index.next(ctx, listBatch)
		if err != nil {
			return Page{}, fmt.Errorf("list executions: %w", err)
		}
		wanted, err := c.filter(ctx, q, batch)
		if err != nil {
			return Page{}, fmt.Errorf("list executions: %w", err)
		}
		for len(wanted) > 0 {
			some := wanted[:min(len(wanted), q.Limit-len(page.Executions))]
			wanted = wanted[len(some):]
			if err := c.fetch(ctx, q, some, &page); err != nil {
				return Page{}, fmt.Errorf("list executions: %w", err)
			}
			if len(page.Executions) == q.Limit {
				if len(wanted) > 0 || len(batch) == listBatch {
					page.Next = some[len(some)-1]
				}
				return page, nil
			}
		}
		if len(batch) < listBatch {
			return page, nil
		}
		if looked >= maxLooked {
			page.Next = batch[len(batch)-1]
			return page, nil
		}
	}
}

// filter returns the entries that the query may be about, as far as that can be
// decided without their records.
func (c *Cache) filter(ctx context.Context, q Query, batch []Position) ([]Position, error) {
	if q.Status == "" && q.StateMachine == "" {
		return batch, nil
	}
	var some []Position
	var arns []ARN
	for _, p := range batch {
		if q.StateMachine == "" || p.ARN.BelongsTo(q.StateMachine) {
			some, arns = append(some, p), append(arns, p.ARN)
		}
	}
	if q.Status == "" {
		return some, nil
	}
	statuses, err := c.statuses.statuses(ctx, arns)
	wanted := some[:0]
	for i, s := range statuses {
		if s == q.Status {
			wanted = append(wanted, some[i])
		}
	}
	return wanted, err
}

// fetch adds the records of entries to a page. The index is a hint, the record is
// the truth: what it says of owner and status counts.
func (c *Cache) fetch(ctx context.Context, q Query, some []Position, page *Page) error {
	arns := make([]ARN, len(some))
	for i, p := range some {
		arns[i] = p.ARN
	}
	var gone []ARN
	for i, found := range c.GetMany(ctx, arns) {
		switch r := found.Record; {
		case errors.Is(found.Err, ErrNotFound):
			gone = append(gone, arns[i])
		case found.Err != nil:
			return found.Err
		case !q.All && (r.Owner == "" || r.Owner != q.Owner):
		case q.Status == "" || r.PublicStatus() == q.Status:
			page.Executions = append(page.Executions, r)
		}
	}
	if q.All {
		c.DropOrphans(ctx, gone)
	}
	return nil
}

// index is the entries that a query may be about, in their order.
type index struct {
	client redis.UniversalClient
	after  Position
	parts  []indexPart
}

// indexPart is one key of an index, of which some has been read.
type indexPart struct {
	key    string
	offset int64 // of what is read next, from the start of the query
	read   []Position
	whole  bool // there is no more
}

func (c *Cache) index(q Query) *index {
	x := &index{client: c.db.Readers, after: q.After}
	if !q.All {
		x.parts = []indexPart{{key: c.db.Names.Owner(q.Owner)}}
		return x
	}
	for i := range c.db.Names.Partitions {
		p := &c.db.Names.Partitions[i]
		if q.Status == Running {
			x.parts = append(x.parts, indexPart{key: p.Running})
		} else {
			x.parts = append(x.parts, indexPart{key: p.Recent})
		}
	}
	return x
}

// next returns the next n entries; fewer only at the end.
func (x *index) next(ctx context.Context, n int) ([]Position, error) {
	all := make([]Position, 0, n)
	for len(all) < n {
		if err := x.fill(ctx, n); err != nil {
			return nil, err
		}
		first := x.first()
		if first == nil {
			break
		}
		all = append(all, first.read[0])
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

// fill reads on where nothing is left, in one round trip to each node.
func (x *index) fill(ctx context.Context, n int) error {
	size := int64(n)
	if len(x.parts) > 1 { // they have about the same share each
		size = int64(8 + 2*n/len(x.parts))
	}
	pipe := x.client.Pipeline()
	var cmds []*redis.ZSliceCmd
	var empty []*indexPart
	for i := range x.parts {
		p := &x.parts[i]
		if len(p.read) > 0 || p.whole {
			continue
		}
		highest := "+inf"
		if x.after != (Position{}) {
			highest = strconv.FormatInt(x.after.Start, 10)
		}
		empty = append(empty, p)
		cmds = append(cmds, pipe.ZRevRangeByScoreWithScores(ctx, p.key, &redis.ZRangeBy{
			Max: highest, Min: "-inf", Offset: p.offset, Count: size,
		}))
	}
	if len(cmds) == 0 {
		return nil
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	for i, p := range empty {
		got := cmds[i].Val()
		p.offset += int64(len(got))
		p.whole = int64(len(got)) < size
		for _, z := range got {
			arn, _ := z.Member.(string)
			at := Position{Start: int64(z.Score), ARN: ARN(arn)}
			if at.behind(x.after) {
				p.read = append(p.read, at)
			}
		}
	}
	return x.fill(ctx, n) // a part may hold nothing but entries before the position
}
