// Package client asks a status service over HTTP.
package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Client asks one service as one caller. Its methods can be called concurrently.
type Client struct {
	server string
	token  string
	http   *http.Client
}

const (
	requestLimit = 10 * time.Second
	maxAnswer    = 16 << 20 // bytes
)

// New returns a Client of the service at a URL. A path in the URL is kept, for a
// service that sits below one.
func New(server, token string) (*Client, error) {
	u, err := url.Parse(server)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("%q is not the URL of a service, such as http://127.0.0.1:8080", server)
	}
	return &Client{server: strings.TrimSuffix(server, "/"), token: token, http: &http.Client{Timeout: requestLimit}}, nil
}

// Error is an answer that is not the one asked for.
type Error struct {
	StatusCode int
	Code       string // such as NotFound
	Message    string
	RequestID  string
}

// Error implements error.
func (e *Error) Error() string {
	text := fmt.Sprintf("%s (%d): %s", e.Code, e.StatusCode, e.Message)
	if e.RequestID != "" {
		text += " [request " + e.RequestID + "]"
	}
	return text
}

// Execution is what is known of an execution, in the full view.
type Execution struct {
	Status          string          `json:"status"`
	ExecutionARN    string          `json:"executionArn"`
	StartDate       time.Time       `json:"startDate"`
	StopDate        time.Time       `json:"stopDate"` // zero while it runs
	Output          json.RawMessage `json:"output"`   // JSON as the execution wrote it
	OutputTruncated bool            `json:"outputTruncated"`
	ErrorMessage    string          `json:"errorMessage"`
	ExecutionStatus string          `json:"executionStatus"` // the word of Step Functions
	Attempt         int             `json:"attempt"`
	ObservedAt      time.Time       `json:"observedAt"`
	Version         string          `json:"version"`

	Raw json.RawMessage `json:"-"` // the whole of it, byte for byte
}

// Get asks for an execution. An answer other than 200 is an *Error.
func (c *Client) Get(ctx context.Context, executionARN string) (*Execution, error) {
	data, err := c.get(ctx, "/v1/status/"+url.PathEscape(executionARN)+"?view=full")
	if err != nil {
		return nil, err
	}
	e := &Execution{Raw: data}
	if err := json.Unmarshal(data, e); err != nil {
		return nil, fmt.Errorf("unexpected answer: %w", err)
	}
	return e, nil
}

func (c *Client) get(ctx context.Context, path string) (json.RawMessage, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.server+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+c.token)
	answer, err := c.http.Do(request)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // without the URL, which is long
		}
		return nil, fmt.Errorf("ask %s: %w", c.server, err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", c.server, err)
	}
	return data(answer, body)
}

// data opens the envelope of an answer.
func data(answer *http.Response, body []byte) (json.RawMessage, error) {
	var envelope struct {
		Data  json.RawMessage
		Error struct{ Code, Message string }
	}
	err := json.Unmarshal(body, &envelope)
	if err == nil && answer.StatusCode == http.StatusOK && envelope.Data != nil {
		return envelope.Data, nil
	}
	e := &Error{answer.StatusCode, envelope.Error.Code, envelope.Error.Message, answer.Header.Get("X-Request-Id")}
	if e.Code == "" {
		e.Code, e.Message = "UnexpectedAnswer", "this does not look like a status service"
	}
	return nil, e
}
