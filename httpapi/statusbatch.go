package httpapi

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/semaphore"

	"statuscache/cache"
	"statuscache/httpapi/internal/envelope"
)

// Bounds of the requests that name many executions.
const (
	maxBatch      = 100
	maxBatchBody  = 256 << 10 // bytes
	maxManyAnswer = 8 << 20   // bytes; larger items are left out
)

// batch is the body of POST /v1/status.
type batch struct {
	ExecutionARNs []string `json:"executionArns"`
}

// postStatus is POST /v1/status: a batch of executions.
func (s *Server) postStatus(x *exchange) error {
	var body batch
	if err := x.readJSON(maxBatchBody, &body); err != nil {
		return err
	}
	query, err := x.query()
	if err != nil {
		return err
	}
	v, err := parseView(query["view"])
	if err != nil {
		return err
	}
	items, err := newItems(body.ExecutionARNs, maxBatch)
	if err != nil {
		return err
	}
	if err := items.find(x); err != nil {
		return err
	}
	var answer envelope.Parts
	answer.Text(envelope.SuccessBegin + `{"results":`)
	items.results(&answer, x, v)
	answer.Text(`}` + envelope.SuccessEnd)
	x.w.Header()["Cache-Control"] = envelope.NoStore
	x.sendMany(&answer)
	return nil
}

// item is one execution of a request about many, with its result.
type item struct {
	text    string // the text of the request
	arn     cache.ARN
	record  *cache.Record   // nil: nothing known
	problem *envelope.Error // nil: none found so far

	shown   []byte // data of the record shownOf
	shownOf *cache.Record
}

// items has the executions of a request.
type items struct {
	all   []*item // in the order of the request, also repeated ones
	valid []*item // those whose ARN is well formed, each once
}

func newItems(texts []string, limit int) (*items, error) {
	if len(texts) == 0 || len(texts) > limit {
		return nil, envelope.Invalid("executionArns: must be 1 to %d ARNs", limit)
	}
	list := &items{all: make([]*item, len(texts))}
	known := make(map[string]*item, len(texts))
	for i, text := range texts {
		it := known[text]
		if it == nil {
			it = newItem(text)
			if known[text] = it; it.problem == nil {
				list.valid = append(list.valid, it)
			}
		}
		list.all[i] = it
	}
	return list, nil
}

func newItem(text string) *item {
	arn, err := cache.ParseARN(text)
	if err != nil {
		return &item{text: text, problem: envelope.Invalid("executionArn: %s", err)}
	}
	return &item{text: text, arn: arn}
}

func (list *items) arns() []cache.ARN {
	arns := make([]cache.ARN, len(list.valid))
	for i, it := range list.valid {
		arns[i] = it.arn
	}
	return arns
}

// find looks the items up. It returns an error if every look-up failed.
func (list *items) find(x *exchange) error {
	done, err := x.turn(x.r.Context(), len(list.valid), turnLimit)
	if err != nil {
		return err
	}
	defer done()
	failed := 0
	for i, found := range x.server.options.Cache.GetMany(x.r.Context(), list.arns()) {
		it := list.valid[i]
		it.record = found.Record
		if found.Err != nil && !errors.Is(found.Err, cache.ErrNotFound) {
			it.problem = envelope.ErrorOf(found.Err)
			failed++
		}
	}
	if failed > 0 && failed == len(list.valid) {
		return list.valid[0].problem // the error applies to all of them
	}
	return nil
}

// How long a request may wait until its executions can be read.
const (
	turnLimit     = 200 * time.Millisecond
	turnLimitWait = 2 * time.Second // of a request that has waited already
)

// turn waits until n executions may be read at once. The sets and batches of one caller
// are read one after another, and those of all callers are limited so that single reads
// are not late.
func (x *exchange) turn(ctx context.Context, executions int, limit time.Duration) (done func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	n, own, all := min(int64(executions), x.server.limits.Asked), x.holder.Reads, x.server.reads
	if err := acquire(ctx, own, n); err != nil {
		return nil, envelope.Unavailable("too many executions are requested at the same time", err)
	}
	if err := acquire(ctx, all, n); err != nil {
		own.Release(n)
		return nil, envelope.Unavailable("too many executions are requested at the same time", err)
	}
	return func() {
		all.Release(n)
		own.Release(n)
	}, nil
}

// acquire takes n at once if they are free, and otherwise waits. So a request is not
// refused only because the process got no CPU for longer than the limit.
func acquire(ctx context.Context, from *semaphore.Weighted, n int64) error {
	if from.TryAcquire(n) {
		return nil
	}
	return from.Acquire(ctx, n)
}

// wrong returns the error of an item, nil if its result is a record.
func (it *item) wrong(x *exchange) *envelope.Error {
	switch {
	case it.problem != nil:
		return it.problem
	case it.record == nil:
		return x.server.unknown()
	case !x.caller.MayRead(it.record):
		return errForeign
	}
	return nil
}

// data returns the data object of a view of the record, nil if it does not fit into the
// bytes that are left. It is made once for each record, because a request may name an
// execution many times.
func (it *item) data(x *exchange, v *view, left int) []byte {
	if v.result && len(it.record.Data()) > left { // it cannot fit, so it is not made
		return nil
	}
	if it.shownOf != it.record {
		it.shown, it.shownOf = v.render(x, it.record).Data(), it.record
	}
	if len(it.shown) > left {
		return nil
	}
	return it.shown
}

// results adds the array of all items to an answer.
func (list *items) results(answer *envelope.Parts, x *exchange, v *view) {
	first := answer.Length()
	answer.Text(`[`)
	for i, it := range list.all {
		if i > 0 {
			answer.Text(`,`)
		}
		p := it.wrong(x)
		var data []byte
		if p == nil {
			if data = it.data(x, v, maxManyAnswer-(answer.Length()-first)); data == nil {
				p = tooMuch()
			}
		}
		if p != nil {
			answer.Own(p.AppendItem(nil, it.text))
		} else {
			answer.Shared(data)
		}
	}
	answer.Text(`]`)
}

func tooMuch() *envelope.Error {
	p := envelope.PayloadTooLarge(maxManyAnswer)
	p.Message = "the answers are too large for one response; request this execution alone"
	return p
}
