// Package client reads the status of executions from a status service over HTTP: once,
// or until something happens.
//
//	client.go   Client, Get, GetStatus, and one request
//	watch.go    Wait, Watch: streams, or else long polls, or else polls
//	many.go     Batch, WaitAll
//	list.go     List, Feed
//	link.go     NewLink
//	reports.go  Failures, Durations
//	backoff.go  when to try again
//	sse.go      reading Server-Sent Events
//
// It retries temporary errors, after the time in Retry-After or after a growing pause. It
// sends the entity tag of its latest answer (If-None-Match), so that an unchanged answer
// does not count against a daily limit. It never returns an older state of an execution
// after a newer one.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Client sends requests to one service, with one token. Its methods can be called concurrently.
type Client struct {
	server string
	token  string
	http   *http.Client

	mu      sync.Mutex
	answers map[string]known // by path
}

// known is an earlier answer, which may still be current.
type known struct {
	tag  string
	data json.RawMessage
}

const (
	requestLimit = 15 * time.Second // beyond the wait that the request names
	maxAnswer    = 16 << 20         // bytes
	maxKnown     = 256              // answers remembered
	maxKnownSize = 64 << 10         // bytes of one
	idlePerHost  = 64
)

// New returns a Client of the service at a URL. The URL may have a path. New removes white
// space around the token, such as a line break from a file, and the word Bearer before it.
func New(server, token string) (*Client, error) {
	u, err := url.Parse(server)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("%q is not the URL of a service, such as http://127.0.0.1:8080", server)
	}
	transport, _ := http.DefaultTransport.(*http.Transport)
	transport = transport.Clone()
	transport.MaxIdleConnsPerHost = idlePerHost
	return newClient(strings.TrimSuffix(server, "/"), plainToken(token), transport), nil
}

func plainToken(text string) string {
	text = strings.TrimSpace(text)
	if scheme, token, found := strings.Cut(text, " "); found && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	return text
}

func newClient(server, token string, transport http.RoundTripper) *Client {
	return &Client{server: server, token: token, answers: map[string]known{}, http: &http.Client{
		Transport: transport,
		// The token is for this service only.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Error is an error answer of the service.
type Error struct {
	StatusCode int
	Code       string // such as NotFound
	Message    string
	RequestID  string

	retryAfter time.Duration // 0: not in the answer
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

// Transient reports whether the same request may succeed later, and how long to wait before
// it; 0: the service did not say how long.
func (e *Error) Transient() (again bool, after time.Duration) {
	return transient(e.StatusCode), e.retryAfter
}

// Execution is the state of an execution. Streams and lists have fewer fields than the
// full view; the fields that they leave out are zero.
type Execution struct {
	Status          string          `json:"status"` // RUNNING, SUCCEEDED or FAILED
	ExecutionARN    string          `json:"executionArn"`
	StartDate       time.Time       `json:"startDate"`
	StopDate        time.Time       `json:"stopDate"` // zero while it runs
	Output          json.RawMessage `json:"output"`   // JSON as the execution wrote it
	OutputTruncated bool            `json:"outputTruncated"`
	OutputExpired   bool            `json:"outputExpired"` // FetchOutput fetches it again
	OutputGone      bool            `json:"outputGone"`    // it has expired, and Step Functions no longer has it
	ErrorMessage    string          `json:"errorMessage"`
	Name            string          `json:"name"`
	Metadata        json.RawMessage `json:"metadata"`        // in lists: the object of that name in the output
	InputType       string          `json:"inputType"`       // in lists, where there is no metadata
	ExecutionStatus string          `json:"executionStatus"` // as Step Functions names it
	Attempt         int             `json:"attempt"`
	ObservedAt      time.Time       `json:"observedAt"`
	Version         string          `json:"version"` // the text that sorts last is the newest state

	StateMachineARN string            `json:"stateMachineArn"`
	Error           string            `json:"error"`   // name of the error; empty: none
	Labels          map[string]string `json:"labels"`  // nil: none
	Overdue         bool              `json:"overdue"` // it runs for longer than usual

	Raw json.RawMessage `json:"-"` // the whole answer, byte for byte
}

// Ended reports whether the execution has stopped. A redrive can start it again.
func (e *Execution) Ended() bool { return e.Status != "RUNNING" }

// Get returns the state of an execution. It sends one request. An error of the service is
// an *Error.
func (c *Client) Get(ctx context.Context, executionARN string) (*Execution, error) {
	a, err := c.send(ctx, call{path: statusPath(executionARN) + "?view=full", remember: true})
	if err != nil {
		return nil, err
	}
	return execution(a.data)
}

// GetStatus is Get without the output, the error message and the fields of the full view:
// a small answer for a caller that only needs the status.
func (c *Client) GetStatus(ctx context.Context, executionARN string) (*Execution, error) {
	a, err := c.send(ctx, call{path: statusPath(executionARN) + "?view=status", remember: true})
	if err != nil {
		return nil, err
	}
	return execution(a.data)
}

// GetPlain is Get with the documented fields only, which every service with the same route
// returns. Raw is the answer, byte for byte.
func (c *Client) GetPlain(ctx context.Context, executionARN string) (*Execution, error) {
	a, err := c.send(ctx, call{path: statusPath(executionARN)})
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

// call is one request.
type call struct {
	path     string
	post     bool          // POST, without a body if that is nil
	body     any           // nil: GET, else POST of it as JSON
	tag      string        // of the answer that the caller has
	wait     time.Duration // that the path names
	remember bool          // keep the answer, and send the tag of the previous one
}

// answer is an answer with 200, 201 or 202, or a 304 to a request with a tag.
type answer struct {
	data       json.RawMessage
	tag        string
	same       bool          // as the answer of the tag: 304
	retryAfter time.Duration // 0: not in the answer
}

// send sends a request once.
func (c *Client) send(ctx context.Context, q call) (*answer, error) {
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
		return nil, fmt.Errorf("request to %s: the answer is larger than %d bytes", c.server, maxAnswer)
	}
	a := &answer{tag: got.Header.Get("ETag"), retryAfter: retryAfter(got.Header.Get("Retry-After"), time.Now())}
	if got.StatusCode == http.StatusNotModified && q.tag != "" {
		a.same, a.data = true, before.data
		return a, nil
	}
	if a.data, err = data(got, body, a.retryAfter); err == nil && q.remember {
		c.remember(q.path, known{a.tag, a.data})
	}
	return a, err
}

func (c *Client) request(ctx context.Context, q call) (*http.Request, error) {
	method, body := http.MethodGet, io.Reader(nil)
	if q.post {
		method = http.MethodPost
	}
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

// show returns the earlier answer, and adds its tag to the request.
func (c *Client) show(q *call) known {
	if !q.remember {
		return known{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.answers[q.path]
	q.tag = t.tag
	return t
}

func (c *Client) remember(path string, t known) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.answers, path)
	if t.tag == "" || len(t.data) > maxKnownSize {
		return
	}
	for other := range c.answers {
		if len(c.answers) < maxKnown {
			break
		}
		delete(c.answers, other) // remove any one; the next request fetches it again
	}
	c.answers[path] = t
}

// UnreachableError is the error of a request that got no answer, or only a part of one.
type UnreachableError struct {
	Server string // the URL given to New
	Err    error
}

// Error implements error. It leaves out the URL of the request, which is long.
func (e *UnreachableError) Error() string { return "request to " + e.Server + ": " + e.Err.Error() }

// Unwrap returns what has happened.
func (e *UnreachableError) Unwrap() error { return e.Err }

func (c *Client) unreachable(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return &UnreachableError{c.server, err}
}

// codeUnexpected is the code of an answer without the envelope of the service.
const codeUnexpected = "UnexpectedAnswer"

// data opens the envelope of an answer.
func data(got *http.Response, body []byte, after time.Duration) (json.RawMessage, error) {
	var envelope struct {
		Data  json.RawMessage
		Error struct{ Code, Message string }
	}
	err := json.Unmarshal(body, &envelope)
	if err == nil && (got.StatusCode == http.StatusOK || got.StatusCode == http.StatusCreated || got.StatusCode == http.StatusAccepted) && envelope.Data != nil {
		return envelope.Data, nil
	}
	e := &Error{got.StatusCode, envelope.Error.Code, envelope.Error.Message, got.Header.Get("X-Request-Id"), after}
	if e.Code == "" {
		e.Code, e.Message = codeUnexpected, "this does not look like a status service; check its URL"+foreign(got.Header)
	}
	return nil, e
}

// foreign describes what answers in place of the service, as far as the headers show it.
func foreign(h http.Header) string {
	const most = 100 // characters of a header
	if u, err := url.Parse(h.Get("Location")); err == nil && u.Host != "" {
		return fmt.Sprintf(": it redirects to %.*s", most, u.Host)
	}
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	if kind == "" || kind == "application/json" {
		return ""
	}
	return fmt.Sprintf(": it answers with %.*s", most, kind)
}
