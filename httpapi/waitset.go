package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"time"

	"statuscache/cache"
	"statuscache/cache/changes"
	"statuscache/httpapi/internal/envelope"
	"statuscache/httpapi/internal/headers"
)

const (
	maxSet     = 1000
	maxSetBody = 2 << 20 // bytes
	// executionsPerRequest is how many executions of a set count as one request against
	// the rate limit, because a set costs less than single requests.
	executionsPerRequest = 10
)

// waitRequest is the body of POST /v1/wait.
type waitRequest struct {
	ExecutionARNs []string `json:"executionArns"`
	For           string   `json:"for"`
}

// The conditions for the end of a wait.
const (
	forAll          = "all"          // every execution has ended
	forAny          = "any"          // one has
	forFirstFailure = "firstFailure" // one has failed, or all have ended
)

// postWait is POST /v1/wait: it answers when the condition for a set of executions is
// met.
func (s *Server) postWait(x *exchange) error {
	var body waitRequest
	if err := x.readJSON(maxSetBody, &body); err != nil {
		return err
	}
	x.r.Body = http.NoBody // the body was read to its end
	w, err := x.waitOptions()
	if err != nil {
		return err
	}
	list, err := newItems(body.ExecutionARNs, maxSet)
	if err != nil {
		return err
	}
	switch body.For {
	case "":
		body.For = forAll
	case forAll, forAny, forFirstFailure:
	default:
		return envelope.Invalid("for: must be all, any or firstFailure")
	}
	n := len(list.valid)
	s.rates.Owe(x.w.Header(), x.holder.Bucket, x.start, (n-1)/executionsPerRequest)
	waiting := &waitSet{items: list, until: body.For, view: w.view}
	if !w.explicit || w.wait == 0 {
		return waiting.now(x)
	}
	return x.wait(max(n, 1), w.until(x.start), waiting.step)
}

// waitSet is a set of executions that a request waits for.
type waitSet struct {
	items *items
	until string
	view  *view
	watch *changes.Watch // nil: the request does not wait, or has had no step yet
}

// now answers with the current state.
func (s *waitSet) now(x *exchange) error {
	watch := x.server.options.Changes.Watch(s.items.arns()...)
	defer watch.Close()
	if err := s.read(x.r.Context(), x, watch, turnLimit); err != nil {
		return err
	}
	return s.send(x)
}

// read looks all executions up.
func (s *waitSet) read(ctx context.Context, x *exchange, watch *changes.Watch, limit time.Duration) error {
	done, err := x.turn(ctx, len(s.items.valid), limit)
	if err != nil {
		return err
	}
	defer done()
	err = watch.Read(ctx)
	s.take(watch)
	return err
}

// step implements the type step: it answers when the condition is met or the state differs
// from If-None-Match, or at the end of the wait.
func (s *waitSet) step(x *exchange) error {
	if err := s.look(x); err != nil && x.waiter.Ended() == nil {
		return err // Redis
	}
	switch {
	case x.waiter.Ended() != nil:
		return s.last(x)
	case s.ready(x):
		return s.send(x)
	}
	return x.again(time.Time{})
}

// look reads all executions in the first step, and only changed ones in later steps.
func (s *waitSet) look(x *exchange) error {
	if s.watch != nil {
		s.watch.News()
		s.take(s.watch)
		return nil
	}
	s.watch = x.server.options.Changes.WatchFunc(x.waiter.Wake, s.items.arns()...)
	x.waiter.AtEnd(s.watch.Close)
	ctx, release := x.waiter.Context(x.r.Context())
	defer release()
	return s.read(ctx, x, s.watch, x.server.options.MaxWait)
}

// last answers at the end of the wait.
func (s *waitSet) last(x *exchange) error {
	if err := x.ended(); err != nil {
		return err
	}
	if err := s.read(context.WithoutCancel(x.r.Context()), x, s.watch, turnLimitWait); err != nil {
		return err
	}
	return s.send(x)
}

func (s *waitSet) take(watch *changes.Watch) {
	for i, r := range watch.Records() {
		s.items.valid[i].record = r
	}
}

// ready reports whether to send the state before the end of the wait.
func (s *waitSet) ready(x *exchange) bool {
	if x.r.Header.Get("If-None-Match") == "" {
		return s.done(x)
	}
	match, _ := headers.Matches(x.r.Header["If-None-Match"], s.tag(x))
	return !match || s.done(x)
}

// done reports whether the condition is met. An execution counts as failed if the caller
// can never get it, because its ARN is malformed or it belongs to another owner.
func (s *waitSet) done(x *exchange) bool {
	ended, failed := 0, 0
	for _, it := range s.items.all {
		switch p := it.wrong(x); {
		case it.pending(p):
		case p != nil:
			ended++
			failed++
		case it.record.Terminal:
			ended++
			if it.record.PublicStatus() == cache.Failed {
				failed++
			}
		}
	}
	switch s.until {
	case forAny:
		return ended > 0
	case forFirstFailure:
		return failed > 0 || ended == len(s.items.all)
	}
	return ended == len(s.items.all)
}

// pending reports whether the error of an item may be temporary: the execution or its
// owner is not known yet.
func (it *item) pending(p *envelope.Error) bool {
	return p != nil && it.problem == nil && (it.record == nil || it.record.Owner == "")
}

// tag is the entity tag of the state.
func (s *waitSet) tag(x *exchange) string {
	h := sha256.New()
	h.Write([]byte(s.until + s.view.name))
	for _, it := range s.items.all {
		h.Write([]byte("\n" + it.text + "\n"))
		if p := it.wrong(x); p != nil {
			h.Write([]byte(p.Code))
		} else {
			h.Write([]byte(it.record.Plain.ETag[0])) // changes whenever a view changes
		}
	}
	return `"` + hex.EncodeToString(h.Sum(nil)[:16]) + `"`
}

func (s *waitSet) send(x *exchange) error {
	tag := s.tag(x)
	match, named := headers.Matches(x.r.Header["If-None-Match"], tag)
	if named != "" {
		tag = named
	}
	h := x.w.Header()
	h["Etag"] = []string{tag}
	h["Cache-Control"] = envelope.NoStore
	if match {
		if named != "" {
			x.server.auth.Refund(&x.caller, x.start)
		}
		x.sendHead(http.StatusNotModified)
		return nil
	}
	var answer envelope.Parts
	answer.Text(envelope.SuccessBegin + `{"done":` + strconv.FormatBool(s.done(x)) + `,"results":`)
	s.items.results(&answer, x, s.view)
	answer.Text(`}` + envelope.SuccessEnd)
	x.sendMany(&answer)
	return nil
}
