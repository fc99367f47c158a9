// Package client asks a status service over HTTP: once, or until something
// happens.
//
// It tries again where that makes sense, as the service asks it to (Retry-After)
// or after a pause that grows. It shows what it has (If-None-Match), so that an
// answer that says nothing new costs nothing, and what it tells of one execution
// never goes back to an older state.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Client asks one service as one caller. Its methods can be called concurrently.
type Client struct {
	server string
	token  string
	http   *http.Client

	mu   sync.Mutex
	told map[string]known // by path
}

// known is an answer that may be good still.
type known struct {
	tag  string
	data json.RawMessage
}

const (
	requestLimit = 15 * time.Second // beyond the wait that was asked for
	maxAnswer    = 16 << 20         // bytes
	maxTold      = 256              // answers remembered
	maxToldSize  = 64 << 10         // bytes of one
	idlePerHost  = 64
)

// New returns a Client of the service at a URL. A path in the URL is kept, for a
// service that sits below one.
func New(server, token string) (*Client, error) {
	u, err := url.Parse(server)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("%q is not the URL of a service, such as http://127.0.0.1:8080", server)
	}
	transport, _ := http.DefaultTransport.(*http.Transport)
	transport = transport.Clone()
	transport.MaxIdleConnsPerHost = idlePerHost
	return newClient(strings.TrimSuffix(server, "/"), token, transport), nil
}

func newClient(server, token string, transport http.RoundTripper) *Client {
	return &Client{server: server, token: token, told: map[string]known{}, http: &http.Client{
		Transport: transport,
		// The token is for this service and nobody else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Error is an answer that is not the one asked for.
type Error struct {
	StatusCode int
	Code       string // such as NotFound
	Message    string
	RequestID  string

	retryAfter time.Duration // 0: the service did not say
}

// Error implements error.
func (e *Error) Error() string {
	text := fmt.Sprintf("%s (%d): %s", e.Code, e.StatusCode, e.Message)
	if e.StatusCode == 0 { // about one of many
		text = e.Code + ": " + e.Message
	}
	if e.RequestID != "" {
		text += " [request " + e.RequestID + "]"
	}
	return text
}

// Execution is what is known of an execution. Streams and lists tell less than the
// full view; what they leave out is zero.
type Execution struct {
	Status          string          `json:"status"` // RUNNING, SUCCEEDED or FAILED
	ExecutionARN    string          `json:"executionArn"`
	StartDate       time.Time       `json:"startDate"`
	StopDate        time.Time       `json:"stopDate"` // zero while it runs
	Output          json.RawMessage `json:"output"`   // JSON as the execution wrote it
	OutputTruncated bool            `json:"outputTruncated"`
	ErrorMessage    string          `json:"errorMessage"`
	Name            string          `json:"name"`
	Metadata        json.RawMessage `json:"metadata"`        // in lists: the object of that name in the output
	InputType       string          `json:"inputType"`       // in lists, where there is no metadata
	ExecutionStatus string          `json:"executionStatus"` // the word of Step Functions
	Attempt         int             `json:"attempt"`
	ObservedAt      time.Time       `json:"observedAt"`
	Version         string          `json:"version"` // the greater text is the later state

	Raw json.RawMessage `json:"-"` // the whole of it, byte for byte
}

// Ended reports whether the execution has stopped. A redrive can start it again.
func (e *Execution) Ended() bool { return e.Status != "RUNNING" }

// Get asks for an execution, once. An answer that is not about it is an *Error.
func (c *Client) Get(ctx context.Context, executionARN string) (*Execution, error) {
	a, err := c.ask(ctx, question{path: statusPath(executionARN) + "?view=full", remember: true})
	if err != nil {
		return nil, err
	}
	return execution(a.data)
}

func statusPath(executionARN string) string { return "/v1/status/" + url.PathEscape(executionARN) }

func execution(data json.RawMessage) (*Execution, error) {
	e := &Execution{Raw: data}
	if err := json.Unmarshal(data, e); err != nil {
		return nil, fmt.Errorf("unexpected answer: %w", err)
	}
	return e, nil
}

// question is one request.
type question struct {
	path     string
	body     any           // nil: GET, else POST of it as JSON
	tag      string        // what the caller has
	wait     time.Duration // that the path asks for
	remember bool          // whether an answer from before may be shown to the service
}

// answer is what came back, if it is one: 200, or 304 for who showed a tag.
type answer struct {
	data       json.RawMessage
	tag        string
	same       bool          // as what the tag was shown for
	retryAfter time.Duration // 0: the service did not say
}

// ask sends a request once.
func (c *Client) ask(ctx context.Context, q question) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, requestLimit+q.wait)
	defer cancel()
	before := c.show(&q)
	request, err := c.request(ctx, q)
	if err != nil {
		return nil, err
	}
	got, err := c.http.Do(request)
	if err != nil {
		return nil, c.unreachable(err)
	}
	defer func() { _ = got.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(got.Body, maxAnswer+1))
	if err != nil {
		return nil, c.unreachable(err)
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("ask %s: the answer is larger than %d bytes", c.server, maxAnswer)
	}
	a := &answer{tag: got.Header.Get("ETag"), retryAfter: retryAfter(got.Header.Get("Retry-After"), time.Now())}
	if got.StatusCode == http.StatusNotModified && q.tag != "" {
		a.same, a.data = true, before.data
		return a, nil
	}
	if a.data, err = data(got, body, a.retryAfter); err == nil && q.remember {
		c.learn(q.path, known{a.tag, a.data})
	}
	return a, err
}

func (c *Client) request(ctx context.Context, q question) (*http.Request, error) {
	method, body := http.MethodGet, io.Reader(nil)
	if q.body != nil {
		text, err := json.Marshal(q.body)
		if err != nil {
			return nil, err
		}
		method, body = http.MethodPost, bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.server+q.path, body)
	if err != nil {
		return nil, err
	}
	if q.body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	if q.tag != "" {
		r.Header.Set("If-None-Match", q.tag)
	}
	return r, nil
}

// show returns the answer from before, and has its tag shown.
func (c *Client) show(q *question) known {
	if !q.remember {
		return known{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.told[q.path]
	q.tag = t.tag
	return t
}

func (c *Client) learn(path string, t known) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.told, path)
	if t.tag == "" || len(t.data) > maxToldSize {
		return
	}
	for other := range c.told {
		if len(c.told) < maxTold {
			break
		}
		delete(c.told, other) // any one: what is needed again comes again
	}
	c.told[path] = t
}

// unreachable leaves out the URL, which is long.
func (c *Client) unreachable(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return fmt.Errorf("ask %s: %w", c.server, err)
}

// data opens the envelope of an answer.
func data(got *http.Response, body []byte, after time.Duration) (json.RawMessage, error) {
	var envelope struct {
		Data  json.RawMessage
		Error struct{ Code, Message string }
	}
	err := json.Unmarshal(body, &envelope)
	if err == nil && got.StatusCode == http.StatusOK && envelope.Data != nil {
		return envelope.Data, nil
	}
	e := &Error{got.StatusCode, envelope.Error.Code, envelope.Error.Message, got.Header.Get("X-Request-Id"), after}
	if e.Code == "" {
		e.Code, e.Message = "UnexpectedAnswer", "this does not look like a status service"
	}
	return nil, e
}
