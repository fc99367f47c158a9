package httpapi

import (
	"errors"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"statuscache/cache"
)

// Bounds of the requests that name many executions.
const (
	maxBatch      = 100
	maxBatchBody  = 256 << 10 // bytes
	maxManyAnswer = 8 << 20   // bytes; items beyond it are left out
)

// batch is the body of POST /v1/status.
type batch struct {
	ExecutionARNs []string `json:"executionArns"`
}

// postStatus is POST /v1/status.
func (s *Server) postStatus(x *exchange) error {
	var body batch
	if err := readJSON(x.w, x.r, maxBatchBody, &body); err != nil {
		return err
	}
	items, err := newItems(body.ExecutionARNs, maxBatch)
	if err != nil {
		return err
	}
	unheard := 0
	arns := items.arns()
	for i, found := range s.options.Sets.GetMany(x.r.Context(), arns) {
		it := items.valid[i]
		it.record = found.Record
		if found.Err != nil && !errors.Is(found.Err, cache.ErrNotFound) {
			it.problem = problemOf(found.Err)
			unheard++
		}
	}
	if unheard > 0 && unheard == len(arns) {
		return items.valid[0].problem // it is not about this one or that
	}
	b := append([]byte(nil), `{"success":true,"data":{"results":`...)
	b = append(items.appendResults(b, x), `}}`...)
	x.w.Header()["Cache-Control"] = noStore
	x.send(http.StatusOK, jsonType, b)
	return nil
}

// item is one execution of many, and what there is to say of it.
type item struct {
	text    string // as it came
	arn     cache.ARN
	record  *cache.Record // nil: nothing known
	problem *problem      // nil: none that was found so far
}

// items are the executions of one request, in its order.
type items struct {
	all   []item
	valid []*item // those whose ARN is well formed
}

func newItems(texts []string, limit int) (*items, error) {
	if len(texts) == 0 || len(texts) > limit {
		return nil, invalid("executionArns: must be 1 to %d ARNs", limit)
	}
	list := &items{all: make([]item, len(texts))}
	for i, text := range texts {
		it := &list.all[i]
		it.text = text
		var err error
		if it.arn, err = cache.ParseARN(text); err != nil {
			it.problem = invalid("executionArn: %s", err)
			continue
		}
		list.valid = append(list.valid, it)
	}
	return list, nil
}

func (list *items) arns() []cache.ARN {
	arns := make([]cache.ARN, len(list.valid))
	for i, it := range list.valid {
		arns[i] = it.arn
	}
	return arns
}

// wrong returns what keeps an item from being told, or nil.
func (it *item) wrong(x *exchange) *problem {
	switch {
	case it.problem != nil:
		return it.problem
	case it.record == nil:
		return x.server.unknown()
	case !x.caller.mayRead(it.record):
		return errForeign
	}
	return nil
}

// appendResults appends the array of all items.
func (list *items) appendResults(b []byte, x *exchange) []byte {
	first := len(b)
	b = append(b, '[')
	for i := range list.all {
		if i > 0 {
			b = append(b, ',')
		}
		it := &list.all[i]
		p := it.wrong(x)
		if p == nil && len(b)-first+len(it.record.Data()) > maxManyAnswer {
			p = tooMuch()
		}
		if p != nil {
			b = p.appendItem(b, it.text)
		} else {
			b = append(b, it.record.Data()...)
		}
	}
	return append(b, ']')
}

func tooMuch() *problem {
	p := payloadTooLarge(maxManyAnswer)
	p.message = "the answers are too large to come together; ask for this one alone"
	return p
}

// appendItem appends an error that is about one item.
func (p *problem) appendItem(b []byte, text string) []byte {
	b = append(b, `{"executionArn":`...)
	b, _ = jsontext.AppendQuote(b, text) // it came as JSON, so it is valid
	b = append(b, `,"error":`...)
	return append(p.appendTo(b), '}')
}
