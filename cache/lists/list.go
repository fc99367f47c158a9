package lists

import (
	"context"
	"errors"
	"fmt"
	"time"

	"statuscache/cache"
)

// Page is a part of a list.
type Page struct {
	Executions []*cache.Record
	Next       Position // After of the next page; zero: there is none
	Partial    bool     // the bound of the work ended the page, not its limit
}

const (
	listLimit = time.Second
	// maxBatch is the maximum number of index entries that are filtered together. The index of
	// an owner rarely has more.
	maxBatch = 1024
	// maxLooked is the maximum number of index entries for one page of all owners' executions.
	// If a filter drops nearly everything, the page is short and has a cursor that continues
	// it. So no request occupies a processor for more than some milliseconds. The index of an
	// owner is bounded anyway.
	maxLooked = 512
)

// List returns a page of executions. It takes at most one second.
func (r *Reader) List(ctx context.Context, q Query) (Page, error) {
	ctx, cancel := context.WithTimeout(ctx, max(listLimit, r.db.Limits.Read))
	defer cancel()
	page, err := r.list(ctx, &q)
	if err != nil {
		return Page{}, fmt.Errorf("list executions: %w", err)
	}
	return page, nil
}

func (r *Reader) list(ctx context.Context, q *Query) (page Page, err error) {
	size := q.firstBatch()
	index, err := r.index(ctx, q, size)
	if err != nil {
		return page, err
	}
	for looked := 0; ; size = min(4*size, maxBatch) {
		if q.All {
			size = min(size, maxLooked-looked)
		}
		batch, err := index.next(ctx, size)
		if err != nil {
			return page, err
		}
		wanted, err := r.filter(ctx, q, batch)
		if err != nil {
			return page, err
		}
		full, err := r.fill(ctx, q, wanted, len(batch) == size, &page)
		if full || err != nil || len(batch) < size {
			return page, err
		}
		if looked += size; q.All && looked >= maxLooked {
			page.Next, page.Partial = batch[len(batch)-1], true
			return page, nil
		}
	}
}

// firstBatch is how many index entries are filtered first. Each batch is a round trip that
// reads all partitions, so it should be the last one. Most filters drop most entries.
func (q *Query) firstBatch() int {
	switch {
	case !q.selects():
		return q.Limit + 1
	case q.Status == cache.Succeeded: // as most executions
		return min(4*(q.Limit+1), maxLooked)
	case q.All:
		return maxLooked
	}
	return maxBatch
}

// fill adds entries to a page until it is full. more reports whether there are further
// entries.
func (r *Reader) fill(ctx context.Context, q *Query, wanted []Position, more bool, page *Page) (full bool, err error) {
	for len(wanted) > 0 {
		some := wanted[:min(len(wanted), q.Limit-len(page.Executions))]
		wanted = wanted[len(some):]
		if err := r.fetch(ctx, q, some, page); err != nil {
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

// filter returns the entries that may match the query, as far as that can be decided
// without their answers.
func (r *Reader) filter(ctx context.Context, q *Query, batch []Position) (wanted []Position, err error) {
	arns := make([]cache.ARN, 0, len(batch))
	for _, p := range batch {
		if q.mayHave(p) {
			wanted, arns = append(wanted, p), append(arns, p.ARN)
		}
	}
	if !q.needsRows() {
		return wanted, nil
	}
	rows, _, err := r.cache.Rows(ctx, arns, q.needsDetails())
	kept := wanted[:0]
	for i := range rows {
		if q.matchesRow(arns[i], &rows[i]) {
			kept = append(kept, wanted[i])
		}
	}
	return kept, err
}

// fetch adds the records of entries to a page. The index is only a hint: the owner and
// the status in the record count.
func (r *Reader) fetch(ctx context.Context, q *Query, some []Position, page *Page) error {
	arns := make([]cache.ARN, len(some))
	for i, p := range some {
		arns[i] = p.ARN
	}
	var gone []cache.ARN
	for i, found := range r.cache.GetMany(ctx, arns) {
		switch record := found.Record; {
		case errors.Is(found.Err, cache.ErrNotFound):
			gone = append(gone, arns[i])
		case found.Err != nil:
			return found.Err
		case !q.All && (record.Owner == "" || record.Owner != q.Owner):
		case q.Matches(record):
			page.Executions = append(page.Executions, record)
		}
	}
	if q.All {
		r.cache.DropOrphans(ctx, gone)
	}
	return nil
}
