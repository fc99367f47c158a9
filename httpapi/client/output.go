package client

import (
	"context"
	"net/url"
	"strconv"
	"time"
)

// FetchOutput has the output of a success, which has expired, fetched from Step Functions
// again, and returns the state of the execution when it is there, or when ctx ends with the
// error of that. If Step Functions does not have it any more, the error is an *Error with the
// code Gone. A service that is not available for a while is asked again.
func (c *Client) FetchOutput(ctx context.Context, executionARN string) (*Execution, error) {
	q := call{
		path: "/v1/executions/" + url.PathEscape(executionARN) + "/output?wait=" + strconv.Itoa(int(longPoll/time.Second)),
		wait: longPoll, post: true,
	}
	for {
		a, err := c.persist(ctx, q)
		if err != nil {
			return nil, err
		}
		e, err := execution(a.data)
		if err != nil || !e.OutputExpired {
			return e, err
		}
		if stopped := sleep(ctx, max(a.retryAfter, time.Second)); stopped != nil {
			return nil, stopped
		}
	}
}
