package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Page is a part of a list.
type Page struct {
	Executions []*Record
	Next       Position // After of the next page; zero: there is none
	Partial    bool     // a bound of the work ended the page, not its limit
}

const (
	listLimit = time.Second
	// listBatch is how many entries of an index are looked at together.
	listBatch = 256
	// The work for one page is bounded. Where a filter lets hardly anything through, a page
	// is short and says where to go on.
	maxLooked = 4096 // entries of an index
	maxRead   = 1024 // beginnings of records that are not remembered
)

// List returns a page of executions. It takes a second at most.
func (c *Cache) List(ctx context.Context, q Query) (Page, error) {
	ctx, cancel := context.WithTimeout(ctx, max(listLimit, c.db.Limits.Read))
	defer cancel()
	page, err := c.list(ctx, &q)
	if err != nil {
		return Page{}, fmt.Errorf("list executions: %w", err)
	}
	return page, nil
}

func (c *Cache) list(ctx context.Context, q *Query) (page Page, err error) {
	index, err := c.index(ctx, q)
	if err != nil {
		return page, err
	}
	for looked, read := 0, 0; ; {
		batch, err := index.next(ctx, listBatch)
		if err != nil {
			return page, err
		}
		wanted, asked, err := c.filter(ctx, q, batch)
		if err != nil {
			return page, err
		}
		full, err := c.fill(ctx, q, wanted, len(batch) == listBatch, &page)
		if full || err != nil || len(batch) < listBatch {
			return page, err
		}
		looked, read = looked+listBatch, read+asked
		if looked >= maxLooked || read >= maxRead {
			page.Next, page.Partial = batch[len(batch)-1], true
			return page, nil
		}
	}
}

// fill adds entries to a page until that is full. more reports whether there are others
// behind them.
func (c *Cache) fill(ctx context.Context, q *Query, wanted []Position, more bool, page *Page) (full bool, err error) {
	for len(wanted) > 0 {
		some := wanted[:min(len(wanted), q.Limit-len(page.Executions))]
		wanted = wanted[len(some):]
		if err := c.fetch(ctx, q, some, page); err != nil {
			return false, err
		}
		if len(page.Executions) == q.Limit {
			if len(wanted) > 0 || more {
				page.Next = some[len(some)-1]
			}
			return true, nil
		}
	}
	return false, nil
}

// filter returns the entries that the query may be about, as far as that can be
// decided without their answers, and how many records it had to ask for.
func (c *Cache) filter(ctx context.Context, q *Query, batch []Position) (wanted []Position, asked int, err error) {
	arns := make([]ARN, 0, len(batch))
	for _, p := range batch {
		if q.mayHave(p) {
			wanted, arns = append(wanted, p), append(arns, p.ARN)
		}
	}
	if !q.needsRows() {
		return wanted, 0, nil
	}
	rows, asked, err := c.statuses.rows(ctx, arns, q.needsDetails())
	kept := wanted[:0]
	for i := range rows {
		if q.matchesRow(arns[i], &rows[i]) {
			kept = append(kept, wanted[i])
		}
	}
	return kept, asked, err
}

// fetch adds the records of entries to a page. The index is a hint, the record is
// the truth: what it says of owner and status counts.
func (c *Cache) fetch(ctx context.Context, q *Query, some []Position, page *Page) error {
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
		case q.Matches(r):
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
	found  map[ARN]bool // first of the parts, wherever other parts have them
	lowest string       // least start date, in ms
	size   int64        // of what is read next of each part
	parts  []indexPart
}

// indexPart is one key of an index, of which some has been read.
type indexPart struct {
	key    string
	offset int64 // of what is read next, from the start of the query
	read   []Position
	last   Position // that was read
	whole  bool     // there is no more
}

// maxIndexRead is how many entries of a part are read at once, at most.
const maxIndexRead = 256

func (c *Cache) index(ctx context.Context, q *Query) (*index, error) {
	x := &index{client: c.db.Readers, after: q.after(), found: map[ARN]bool{}, lowest: q.lowest(), size: listBatch}
	found, err := c.find(ctx, q)
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
		x.parts = append(x.parts, indexPart{key: c.db.Names.Owner(q.Owner)})
	default:
		x.size = 8 + 2*listBatch/int64(len(c.db.Names.Partitions)) // they have about the same share each
		for i := range c.db.Names.Partitions {
			p := &c.db.Names.Partitions[i]
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
	pipe := x.client.Pipeline()
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
			Max: highest, Min: x.lowest, Offset: p.offset, Count: x.size,
		}))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	for i, p := range low {
		got := cmds[i].Val()
		p.offset += int64(len(got))
		p.whole = int64(len(got)) < x.size
		for _, z := range got {
			arn, _ := z.Member.(string)
			at := Position{Start: int64(z.Score), ARN: ARN(arn)}
			if at.behind(x.after) && at.behind(p.last) { // what is entered meanwhile shifts the rest
				p.read, p.last = append(p.read, at), at
			}
		}
	}
	x.size = min(2*x.size, maxIndexRead)
	return x.fill(ctx) // a part may hold nothing but entries before the position
}
