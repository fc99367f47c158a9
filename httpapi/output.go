package httpapi

import (
	"context"
	"errors"
	"net/http"

	"statuscache/cache"
	"statuscache/cache/worklist"
	"statuscache/httpapi/internal/envelope"
)

// Outputs accepts requests for expired outputs. Ingest fetches them, because no route calls
// AWS.
type Outputs interface {
	// Request can be repeated safely. A *worklist.ErrBusy means that there are too many requests.
	Request(ctx context.Context, arn cache.ARN, caller string) error
}

const outputRoute = "/v1/executions/{executionArn}/output"

// fetchedIn is the number of seconds after which a requested output has usually arrived.
var fetchedIn = []string{"2"}

// postOutput is POST /v1/executions/{executionArn}/output: it lets ingest fetch the expired
// output of a succeeded execution from Step Functions again.
func (s *Server) postOutput(x *exchange) error {
	w, err := x.waitOptions()
	if err != nil {
		return err
	}
	text, _ := decodedARN(x.r.URL, "/v1/executions/", "/output")
	arn, r, err := s.find(x, text)
	switch {
	case err != nil:
		return err
	case r == nil:
		return s.unknown()
	case !x.caller.MayRead(r):
		return errForeign
	case !awaitsFetch(r):
		return x.sendOutput(r)
	}
	if err := s.options.Outputs.Request(x.r.Context(), arn, x.caller.Bucket()); err != nil {
		return notRequested(err)
	}
	if !w.explicit || w.wait == 0 {
		return x.sendOutput(r)
	}
	return x.detach(1, w.until(x.start), func(x *exchange) error {
		r, err := x.awaitOutput(arn, r)
		switch {
		case err != nil:
			return err
		case r == nil:
			return s.unknown()
		case !x.caller.MayRead(r):
			return errForeign
		}
		return x.sendOutput(r)
	})
}

// awaitsFetch reports whether the output of an execution may come back.
func awaitsFetch(r *cache.Record) bool { return r.OutputExpired() && !r.OutputGone() }

// awaitOutput waits until an output has arrived or is known to be gone. At the end of the
// wait it returns the current record.
func (x *exchange) awaitOutput(arn cache.ARN, r *cache.Record) (*cache.Record, error) {
	ctx := x.r.Context()
	for failures := 0; awaitsFetch(r); {
		newer, err := x.server.options.Changes.Wait(ctx, arn, r)
		switch {
		case err == nil && newer == nil, ctx.Err() != nil:
			return x.last(arn)
		case err == nil:
			r = newer
		case failures == maxFailures:
			return nil, err
		default: // Redis is slow; a waiting request can wait for it
			failures++
			pause(ctx)
		}
	}
	return r, nil
}

// sendOutput answers with the state of an execution: 200 if it has its output, 202 if the
// output is being fetched.
func (x *exchange) sendOutput(r *cache.Record) error {
	switch {
	case r.PublicStatus() == cache.Running:
		return envelope.Conflict("this execution is running, so it has no output yet")
	case r.PublicStatus() == cache.Failed:
		return envelope.Conflict("this execution failed, so it has no output")
	case r.OutputGone():
		return envelope.Gone("the output of this execution has expired, and Step Functions no longer has it: executions are kept there for 90 days")
	}
	status := http.StatusOK
	if r.OutputExpired() {
		status = http.StatusAccepted
		x.w.Header()["Retry-After"] = fetchedIn
	}
	x.w.Header()["Cache-Control"] = envelope.NoStore
	x.send(status, envelope.JSONType, r.Plain.Body)
	return nil
}

// notRequested returns the error of a failed request for an output.
func notRequested(err error) error {
	busy, ok := errors.AsType[*worklist.ErrBusy](err)
	switch {
	case !ok:
		return err
	case busy.OfCaller:
		return envelope.RateLimitExceeded(busy.Wait)
	}
	p := envelope.Unavailable("too many outputs are being fetched", err)
	p.RetryAfter = busy.Wait
	return p
}
