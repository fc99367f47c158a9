package client

import (
	"context"
	"net/url"
	"strconv"
	"time"
)

// FetchOutput makes the service fetch the expired output of a succeeded execution from Step
// Functions again. It returns the state of the execution when the output has arrived, or the
// error of ctx when that ends first. If Step Functions no longer has the output, the error is
// an *Error with the code Gone. While the service is unavailable, the request is repeated.
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
