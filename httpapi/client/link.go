package client

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Link is a token that lets anybody read and follow one execution.
type Link struct {
	Token        string    `json:"token"`
	URL          string    `json:"url"` // below that of the Client; reads the execution without another token
	ExpiresAt    time.Time `json:"expiresAt"`
	ExecutionARN string    `json:"executionArn"`
}

// NewLink makes a link to an execution. The link expires after expiresIn, which is whole
// seconds and at most 24 hours; 0: one hour. It expires earlier if the token of the Client does.
func (c *Client) NewLink(ctx context.Context, executionARN string, expiresIn time.Duration) (*Link, error) {
	body := map[string]any{"executionArn": executionARN}
	if expiresIn != 0 {
		body["expiresIn"] = expiresIn.String()
	}
	a, err := c.persist(ctx, call{path: "/v1/links", body: body})
	if err != nil {
		return nil, err
	}
	l := new(Link)
	if err := json.Unmarshal(a.data, l); err != nil {
		return nil, fmt.Errorf("unexpected answer: %w", err)
	}
	l.URL = c.server + statusPath(executionARN) + "?link=" + l.Token // behind a proxy, the service may not know its public address
	return l, nil
}
