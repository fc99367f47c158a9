package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"statuscache/cache"
)

const (
	maxRegistration = 16 << 10        // bytes
	bodyLimit       = 5 * time.Second // for a body to arrive
)

// registration is the body of POST /v1/executions.
type registration struct {
	ExecutionARN string `json:"executionArn"`
	Owner        string `json:"owner"`
	StartDate    string `json:"startDate"`
}

func (s *Server) executions(x *exchange) error {
	if x.r.Method == http.MethodPost {
		return s.postExecution(x)
	}
	return s.getExecutions(x)
}

// postExecution is POST /v1/executions: the generate endpoint says what it is
// about to start, and for whom.
func (s *Server) postExecution(x *exchange) error {
	if !x.caller.Register {
		return forbidden("this token may not register executions: that needs the scope register")
	}
	var body registration
	if err := x.readJSON(maxRegistration, &body); err != nil {
		return err
	}
	reg, err := body.check()
	if err != nil {
		return err
	}
	if machines := s.options.StateMachines; len(machines) > 0 && !slices.ContainsFunc(machines, reg.ARN.BelongsTo) {
		// Its events are not taken, so it would be told as RUNNING for ever.
		return invalid("executionArn: its state machine is not one of those of this service (STATE_MACHINES)")
	}
	if !x.caller.mayRegister(reg.ARN) {
		return forbidden("this API key may not register executions of that state machine")
	}
	created, err := s.options.Cache.Register(x.r.Context(), reg)
	if err != nil {
		return unregistered(err)
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	x.w.Header()["Cache-Control"] = noStore
	x.send(status, jsonType, registered(reg))
	return nil
}

// unregistered is what a registration failed with. One that Redis did not confirm may
// be stored all the same, so the caller has to know that the same again does no harm.
func unregistered(err error) error {
	if errors.Is(err, cache.ErrOwnerConflict) || errors.Is(err, context.Canceled) {
		return err
	}
	return unavailable("Redis did not confirm the registration, which may be stored all the same; send the same again: that is safe, and answered with 200 or 201 once it is confirmed", err)
}

func (b *registration) check() (cache.Registration, error) {
	var reg cache.Registration
	var err error
	if reg.ARN, err = cache.ParseARN(b.ExecutionARN); err != nil {
		return reg, invalid("executionArn: %s", err)
	}
	if reg.Owner = b.Owner; !validOwner(b.Owner) {
		return reg, invalid("owner: must be 1 to %d bytes without control characters", cache.MaxOwnerLength)
	}
	if b.StartDate != "" {
		reg.StartDate, err = time.Parse(time.RFC3339, b.StartDate)
		if ms := reg.StartDate.UnixMilli(); err != nil || ms < 1 || ms > cache.MaxTime {
			return reg, invalid("startDate: must be a date such as 2026-02-10T12:00:00Z")
		}
	}
	return reg, nil
}

func validOwner(s string) bool {
	return s != "" && len(s) <= cache.MaxOwnerLength && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

func registered(r cache.Registration) []byte {
	b := append([]byte(nil), `{"success":true,"data":{"executionArn":`...)
	b, _ = jsontext.AppendQuote(b, string(r.ARN)) // both are valid UTF-8
	b = append(b, `,"owner":`...)
	b, _ = jsontext.AppendQuote(b, r.Owner)
	return append(b, `}}`...)
}

// byteOrderMark is U+FEFF in UTF-8.
var byteOrderMark = []byte("\xef\xbb\xbf")

// readJSON reads a body of at most limit bytes into v. Its errors are problems
// that name what is wrong.
func (x *exchange) readJSON(limit int, v any) error {
	if kind, _, err := mime.ParseMediaType(x.r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return unsupportedMediaType()
	}
	body, err := x.readBody(limit)
	if err != nil {
		return err
	}
	body = bytes.TrimPrefix(body, byteOrderMark) // some clients write it, and RFC 8259 lets us ignore it
	err = json.Unmarshal(body, v, json.RejectUnknownMembers(true))
	var semantic *json.SemanticError
	switch {
	case errors.As(err, &semantic) && semantic.JSONPointer != "":
		return invalid("%s: not known here, or of the wrong type", strings.TrimPrefix(string(semantic.JSONPointer), "/"))
	case err != nil:
		return invalid("body: must be one JSON object, each name once")
	}
	return nil
}

// bodyCost is what a body counts for that arrives, at least: what its connection
// costs meanwhile, in bytes.
const bodyCost = 16 << 10

// readBody reads the body of a request. It may take its time to arrive, and so has
// no place among the requests that are being answered.
func (x *exchange) readBody(limit int) ([]byte, error) {
	if x.r.ContentLength > int64(limit) { // nobody is asked to send it
		return nil, payloadTooLarge(limit)
	}
	x.leave()
	cost := int64(limit)
	if n := x.r.ContentLength; n >= 0 {
		cost = min(n, cost)
	}
	cost = max(cost, bodyCost)
	if !x.server.bodies.take(x.holder, cost) {
		return nil, unavailable("too many requests arrive at once", nil)
	}
	body, err := io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, int64(limit)))
	x.server.bodies.give(x.holder, cost)
	if err := x.enter(); err != nil {
		return nil, err
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, payloadTooLarge(limit)
	case err != nil:
		return nil, invalid("body: could not be read")
	}
	_ = http.NewResponseController(x.w).SetReadDeadline(time.Time{}) // it is here
	return body, nil
}

// post serves a route that is not ours.
func (s *Server) post(p Post) func(*exchange) error {
	return func(x *exchange) error {
		var body jsontext.Value
		if err := x.readJSON(p.Limit, &body); err != nil {
			return err
		}
		status, data, err := p.Answer(x.r.Context(), &x.caller, body)
		if err != nil {
			return err
		}
		x.w.Header()["Cache-Control"] = noStore
		x.send(status, jsonType, fmt.Appendf(nil, `{"success":true,"data":%s}`, data))
		return nil
	}
}

func (p *Principal) mayRegister(arn cache.ARN) bool {
	return len(p.StateMachines) == 0 || slices.ContainsFunc(p.StateMachines, arn.BelongsTo)
}
