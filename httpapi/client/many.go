package client

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"
)

const (
	maxBatch = 100
	maxSet   = 1000
)

// Result is what is known of one of many executions, or what is wrong with it.
type Result struct {
	*Execution        // nil with Err
	Err        *Error // about this execution
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *Result) UnmarshalJSON(b []byte) error {
	var wrong struct {
		Error *struct{ Code, Message string }
	}
	if err := json.Unmarshal(b, &wrong); err != nil {
		return err
	}
	if wrong.Error != nil {
		*r = Result{Err: &Error{Code: wrong.Error.Code, Message: wrong.Error.Message}}
		return nil
	}
	e, err := execution(slices.Clone(b))
	*r = Result{Execution: e}
	return err
}

// Batch asks for executions, 100 a request, and returns them in their order.
func (c *Client) Batch(ctx context.Context, executionARNs []string) ([]Result, error) {
	all := make([]Result, 0, len(executionARNs))
	for some := range slices.Chunk(executionARNs, maxBatch) {
		a, err := c.persist(ctx, question{path: "/v1/status", body: map[string]any{"executionArns": some}})
		if err != nil {
			return nil, err
		}
		var got struct{ Results []Result }
		if err := json.Unmarshal(a.data, &got); err != nil || len(got.Results) != len(some) {
			return nil, fmt.Errorf("unexpected answer to a batch of %d: %w", len(some), err)
		}
		all = append(all, got.Results...)
	}
	return all, nil
}

// persist asks until there is an answer, or an error that is final.
func (c *Client) persist(ctx context.Context, q question) (*answer, error) {
	p := newPatience()
	for {
		a, err := c.ask(ctx, q)
		if err == nil {
			return a, nil
		}
		if err := p.after(ctx, err); err != nil {
			return nil, err
		}
	}
}

// Until says when a set of executions is decided.
type Until string

// What can be waited for.
const (
	All          Until = "all"          // every execution has ended
	Any          Until = "any"          // one has
	FirstFailure Until = "firstFailure" // one has failed, or all have ended
)

// Set is the state of a set of executions, in the order they were named.
type Set struct {
	Done    bool // it is decided
	Results []Result
}

// WaitAll returns when something is decided about a set of up to 1,000
// executions. progress, if not nil, is called with each state on the way.
func (c *Client) WaitAll(ctx context.Context, executionARNs []string, until Until, progress func(*Set)) (*Set, error) {
	if n := len(executionARNs); n == 0 || n > maxSet {
		return nil, fmt.Errorf("%d executions: 1 to %d can be waited for together", n, maxSet)
	}
	waiting := "/v1/wait?wait=" + strconv.Itoa(int(longPoll/time.Second))
	q := question{path: waiting, wait: longPoll, body: map[string]any{"executionArns": executionARNs, "for": until}}
	if progress != nil {
		q.path = "/v1/wait" // how things stand is told at once
	}
	for {
		a, err := c.persist(ctx, q)
		if err != nil {
			return nil, err
		}
		if a.same {
			continue
		}
		set := &Set{}
		if err := json.Unmarshal(a.data, set); err != nil {
			return nil, fmt.Errorf("unexpected answer: %w", err)
		}
		if progress != nil {
			progress(set)
			q.path, q.tag = waiting, a.tag // and then each change
		}
		if set.Done {
			return set, nil
		}
	}
}
