package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"statuscache/cache"
	"statuscache/httpapi"
	"statuscache/ingest/localaws"
)

// pipeline pretends to be the state machine behind POST /v1/generate. What an
// execution will do is known when it starts, so its events are put into the
// queue at once, each with the delay after which it arrives.
type pipeline struct {
	queue *localaws.Queue
}

func newPipeline(q *localaws.Queue) *pipeline { return &pipeline{q} }

const (
	stateMachine  = "arn:aws:states:" + region + ":123456789012:stateMachine:CloudSigmaPipeline"
	generateLimit = 64 << 10 // bytes of a request
)

// request is the body of POST /v1/generate, as far as it matters here.
type request struct {
	InputType string `json:"inputType"`
	Simulate  string `json:"simulate"`
}

// generate is the route that starts executions. The caller is the owner.
func (p *pipeline) generate(c *cache.Cache) httpapi.Post {
	return httpapi.Post{Path: "/v1/generate", Limit: generateLimit, Answer: func(ctx context.Context, caller *httpapi.Principal, body jsontext.Value) (int, []byte, error) {
		r, err := readRequest(body)
		if err != nil {
			return 0, nil, err
		}
		e, err := p.start(ctx, c, caller.Owner, r, body)
		if err != nil {
			return 0, nil, err
		}
		data, err := json.Marshal(struct {
			ExecutionARN cache.ARN `json:"executionArn"`
			Status       string    `json:"status"`
			StartDate    time.Time `json:"startDate"`
		}{e.arn, "RUNNING", e.start.UTC().Truncate(time.Second)})
		return http.StatusAccepted, data, err
	}}
}

func readRequest(body jsontext.Value) (request, error) {
	var r request
	if err := json.Unmarshal(body, &r); err != nil {
		return r, httpapi.Invalid("body: must be a JSON object with inputType url, cve or text")
	}
	switch r.InputType {
	case "url", "cve", "text":
	default:
		return r, httpapi.Invalid("inputType: must be url, cve or text")
	}
	if _, ok := plots[r.Simulate]; r.Simulate != "" && !ok {
		return r, httpapi.Invalid("simulate: must be succeeded, failed, timed_out, redriven or oversize")
	}
	return r, nil
}

// execution is one run of the pretend pipeline.
type execution struct {
	arn       cache.ARN
	start     time.Time
	inputType string
	input     []byte
}

// start registers an execution and lets it run. body is what the caller sent;
// nil: nothing.
func (p *pipeline) start(ctx context.Context, c *cache.Cache, owner string, r request, body []byte) (execution, error) {
	if body == nil {
		body = []byte("null")
	}
	input, err := json.Marshal(map[string]any{
		"inputType": r.InputType, "tenantId": owner, "request": json.RawMessage(body),
	})
	if err != nil {
		return execution{}, fmt.Errorf("input of an execution: %w", err)
	}
	arn, err := cache.ParseARN(strings.Replace(stateMachine, ":stateMachine:", ":execution:", 1) + ":" + newID())
	if err != nil {
		return execution{}, err
	}
	e := execution{arn: arn, start: time.Now().Truncate(time.Millisecond), inputType: r.InputType, input: input}
	if _, err := c.Register(ctx, cache.Registration{ARN: arn, Owner: owner, StartDate: e.start}); err != nil {
		return execution{}, err
	}
	if r.Simulate == "" {
		r.Simulate = drawn()
	}
	p.send(e, plots[r.Simulate](e))
	return e, nil
}

// send puts the events of a plot into the queue the way AWS delivers them: half
// a second after the change, now and then late or twice, and so out of order.
func (p *pipeline) send(e execution, plot []change) {
	for _, c := range plot {
		body := e.event(c)
		copies := 1
		if mathrand.N(10) == 0 {
			copies = 2
		}
		for range copies {
			delay := c.at.Sub(e.start) + 200*time.Millisecond + mathrand.N(600*time.Millisecond)
			if mathrand.N(10) == 0 {
				delay += mathrand.N(4 * time.Second)
			}
			p.queue.Send(string(body), delay)
		}
	}
}

// newID returns a UUID.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
