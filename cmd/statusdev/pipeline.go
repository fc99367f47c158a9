package main

import (
	"context"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"statuscache/cache"
	"statuscache/httpapi"
	"statuscache/httpapi/auth"
	"statuscache/ingest/localaws"
)

// pipeline simulates the service behind POST /v1/generate: it registers an execution and
// lets the stand-in for Step Functions start it.
type pipeline struct {
	aws     *localaws.Server
	machine string // ARN
}

const (
	machineName   = "CloudSigmaPipeline"
	generateLimit = 64 << 10 // bytes of a request
)

// newPipeline creates the state machine. Its events arrive as from AWS: half a second
// after the change, sometimes late or twice, and so out of order. With --loss some do not
// arrive.
func newPipeline(aws *localaws.Server, loss float64) *pipeline {
	aws.SetEmission(localaws.Emission{
		Seed: mathrand.Uint64(), MinDelay: 200 * time.Millisecond, MaxDelay: 800 * time.Millisecond,
		Duplicates: 0.1, Late: 0.1, MaxLate: 4 * time.Second,
		Loss: loss, LossOfExecution: loss / 4,
	})
	aws.SetThrottling(localaws.RealThrottling())
	aws.SetDelays(localaws.Delays{ReplayedMinute: 100 * time.Millisecond}) // so slow that a user can watch a replay
	return &pipeline{aws, aws.CreateStateMachine(machineName, plot)}
}

// request has the used fields of the body of POST /v1/generate.
type request struct {
	InputType string `json:"inputType"`
	Simulate  string `json:"simulate"`
}

// generate is the route that starts executions. The caller becomes the owner.
func (p *pipeline) generate(c *cache.Cache) httpapi.Post {
	return httpapi.Post{Path: "/v1/generate", Limit: generateLimit, Answer: func(ctx context.Context, caller *auth.Principal, body jsontext.Value) (int, []byte, error) {
		r, err := readRequest(body)
		if err != nil {
			return 0, nil, err
		}
		arn, start, err := p.start(ctx, c, caller.Owner, r, body)
		if err != nil {
			return 0, nil, err
		}
		data, err := json.Marshal(struct {
			ExecutionARN cache.ARN `json:"executionArn"`
			Status       string    `json:"status"`
			StartDate    time.Time `json:"startDate"`
		}{arn, "RUNNING", start.UTC().Truncate(time.Second)})
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
	if _, ok := lives[r.Simulate]; r.Simulate != "" && !ok {
		return r, httpapi.Invalid("simulate: must be succeeded, slow, failed, unreachable, throttled, timed_out, redriven or oversize")
	}
	return r, nil
}

// input is the input of an execution. The tenant is its owner.
type input struct {
	InputType string          `json:"inputType"`
	TenantID  string          `json:"tenantId"`
	Life      string          `json:"life"` // of lives
	Request   json.RawMessage `json:"request"`
}

// start registers and starts an execution. body is what the caller sent; nil: nothing.
func (p *pipeline) start(ctx context.Context, c *cache.Cache, owner string, r request, body []byte) (cache.ARN, time.Time, error) {
	if body == nil {
		body = []byte("null")
	}
	if r.Simulate == "" {
		r.Simulate = drawn()
	}
	text, err := json.Marshal(input{r.InputType, owner, r.Simulate, body})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("input of an execution: %w", err)
	}
	name := newID()
	arn, err := cache.ParseARN(string(cache.MachineARN(p.machine).Execution(name)))
	if err != nil {
		return "", time.Time{}, err
	}
	// Register before the start: the first event must find the owner.
	if _, err := c.Register(ctx, cache.Registration{ARN: arn, Owner: owner, StartDate: time.Now()}); err != nil {
		return "", time.Time{}, err
	}
	begun, err := p.aws.StartExecution(p.machine, name, string(text))
	if err != nil {
		return "", time.Time{}, fmt.Errorf("start an execution: %w", err)
	}
	return arn, begun.StartDate, nil
}
