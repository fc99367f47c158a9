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

// Result is the state of one of many executions, or an error about it.
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

// Batch returns the states of executions in their order. It sends a request for each 100.
func (c *Client) Batch(ctx context.Context, executionARNs []string) ([]Result, error) {
	all := make([]Result, 0, len(executionARNs))
	for some := range slices.Chunk(executionARNs, maxBatch) {
		a, err := c.persist(ctx, call{path: "/v1/status", body: map[string]any{"executionArns": some}})
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

// persist repeats a request until there is an answer or a final error.
func (c *Client) persist(ctx context.Context, q call) (*answer, error) {
	b := newBackoff()
	for {
		a, err := c.send(ctx, q)
		if err == nil {
			return a, nil
		}
		if err := b.wait(ctx, err); err != nil {
			return nil, err
		}
	}
}

// Until is the condition for the end of a wait for a set of executions.
type Until string

// What can be waited for.
const (
	All          Until = "all"          // every execution has ended
	Any          Until = "any"          // one has
	FirstFailure Until = "firstFailure" // one has failed, or all have ended
)

// Set is the state of a set of executions, in the order they were named.
type Set struct {
	Done    bool // the condition is met
	Results []Result
}

// WaitAll returns when the condition is met for a set of up to 1,000 executions.
// progress, if not nil, is called with each state until then.
func (c *Client) WaitAll(ctx context.Context, executionARNs []string, until Until, progress func(*Set)) (*Set, error) {
	if n := len(executionARNs); n == 0 || n > maxSet {
		return nil, fmt.Errorf("%d executions given, but one wait accepts 1 to %d", n, maxSet)
	}
	waiting := "/v1/wait?wait=" + strconv.Itoa(int(longPoll/time.Second))
	q := call{path: waiting, wait: longPoll, body: map[string]any{"executionArns": executionARNs, "for": until}}
	if progress != nil {
		q.path = "/v1/wait" // the first answer comes at once
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
