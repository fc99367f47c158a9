package client

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/url"
	"strconv"
)

// Query selects executions, newest first. Zero fields have the defaults of the service.
type Query struct {
	Status          string // RUNNING, SUCCEEDED or FAILED
	StateMachineARN string
	Owner           string // for operators
	Text            string // an ARN, the address of its page in the AWS console, a name or its beginning, the value of a label
	Name            string // the beginning of the name
	Error           string // name of the error
	Label           string // name:value
	StartedAfter    string // RFC 3339, or how long ago, such as 1h
	StartedBefore   string // likewise
	Overdue         bool   // only executions that run for longer than usual
	Limit           int    // of a page, 1 to 100
	Cursor          string // NextCursor of the previous page
}

// Page is a part of a list.
type Page struct {
	Executions []*Execution
	NextCursor string // empty: this is the last page
	Partial    bool   // the search ended before the page was full
	Counts     struct{ RUNNING, SUCCEEDED, FAILED int }
}

func (q Query) path() string {
	values := url.Values{}
	for name, value := range map[string]string{
		"status": q.Status, "stateMachineArn": q.StateMachineARN, "owner": q.Owner, "cursor": q.Cursor,
		"q": q.Text, "name": q.Name, "error": q.Error, "label": q.Label, "startedAfter": q.StartedAfter, "startedBefore": q.StartedBefore,
	} {
		if value != "" {
			values.Set(name, value)
		}
	}
	if q.Overdue {
		values.Set("overdue", "true")
	}
	if q.Limit > 0 {
		values.Set("limit", strconv.Itoa(q.Limit))
	}
	if len(values) == 0 {
		return "/v1/executions"
	}
	return "/v1/executions?" + values.Encode()
}

// List returns a page of executions.
func (c *Client) List(ctx context.Context, q Query) (*Page, error) {
	a, err := c.persist(ctx, call{path: q.path()})
	if err != nil {
		return nil, err
	}
	var got struct {
		Executions []json.RawMessage
		NextCursor string
		Partial    bool
		Counts     struct{ RUNNING, SUCCEEDED, FAILED int }
	}
	if err := json.Unmarshal(a.data, &got); err != nil {
		return nil, fmt.Errorf("unexpected answer: %w", err)
	}
	page := &Page{NextCursor: got.NextCursor, Partial: got.Partial, Counts: got.Counts}
	for _, text := range got.Executions {
		e, err := execution(text)
		if err != nil {
			return nil, err
		}
		page.Executions = append(page.Executions, e)
	}
	return page, nil
}

// Feed yields the newest executions and then each change as it happens, until ctx ends or
// the iteration stops. After a lost connection it begins again with the newest. An error
// ends it.
func (c *Client) Feed(ctx context.Context, q Query) iter.Seq2[*Execution, error] {
	return func(yield func(*Execution, error) bool) {
		left := false
		b := newBackoff()
		for {
			err := c.stream(ctx, q.path(), "", func(ev event) bool {
				b.succeeded()
				if ev.name != "status" {
					return true
				}
				e, err := execution(ev.data)
				left = !yield(e, err) || err != nil
				return !left
			})
			if left {
				return
			}
			if err = b.wait(ctx, err); err != nil {
				yield(nil, err)
				return
			}
		}
	}
}
