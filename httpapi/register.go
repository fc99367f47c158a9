package httpapi

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"statuscache/cache"
	"statuscache/httpapi/auth"
	"statuscache/httpapi/internal/envelope"
)

const maxRegistration = 16 << 10 // bytes of the body

// registration is the body of POST /v1/executions.
type registration struct {
	ExecutionARN string `json:"executionArn"`
	Owner        string `json:"owner"`
	StartDate    string `json:"startDate"`

	Labels map[string]jsontext.Value `json:"labels"`
}

// postExecution is POST /v1/executions: the service that starts executions registers one
// with its owner.
func (s *Server) postExecution(x *exchange) error {
	if !x.caller.Register {
		return envelope.Forbidden("this token may not register executions: that needs the scope register")
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
		// Its events are ignored, so the API would report RUNNING forever.
		return envelope.Invalid("executionArn: this service does not follow its state machine (STATE_MACHINES)")
	}
	if !x.caller.MayRegister(reg.ARN) {
		return envelope.Forbidden("this API key may not register executions of that state machine")
	}
	created, err := s.options.Cache.Register(x.r.Context(), reg)
	if err != nil {
		return unregistered(err)
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	x.w.Header()["Cache-Control"] = envelope.NoStore
	x.send(status, envelope.JSONType, registered(reg))
	return nil
}

// unregistered returns the error of a failed registration. If Redis did not confirm it,
// it may be stored nevertheless, so the caller must know that it is safe to repeat it.
func unregistered(err error) error {
	switch {
	case errors.Is(err, cache.ErrOwnerConflict):
		return envelope.Conflict("this execution is already registered with another owner")
	case errors.Is(err, context.Canceled):
		return err
	}
	return envelope.Unavailable("Redis did not confirm the registration, but may have stored it; it is safe to send the same registration again until the answer is 200 or 201", err)
}

func (b *registration) check() (cache.Registration, error) {
	var reg cache.Registration
	var err error
	if reg.ARN, err = cache.ParseARN(b.ExecutionARN); err != nil {
		return reg, envelope.Invalid("executionArn: %s", err)
	}
	if reg.ARN.Silent() { // the API would report RUNNING forever
		return reg, envelope.Invalid("executionArn: Express state machines send no events, so the end of this execution would never be known")
	}
	if reg.Owner = b.Owner; !auth.ValidOwner(b.Owner) || strings.TrimSpace(b.Owner) != b.Owner { // no token has an owner with a space around it
		return reg, envelope.Invalid("owner: must be 1 to %d bytes without control characters, and without white space around it", cache.MaxOwnerLength)
	}
	if b.StartDate != "" {
		reg.StartDate, err = time.Parse(time.RFC3339, b.StartDate)
		if ms := reg.StartDate.UnixMilli(); err != nil || ms < 1 || ms > cache.MaxTime {
			return reg, envelope.Invalid("startDate: must be a date such as 2026-02-10T12:00:00Z")
		}
	}
	reg.Labels, err = readLabels(b.Labels)
	return reg, err
}

// readLabels checks the labels of a registration: strings, or the text of numbers.
func readLabels(given map[string]jsontext.Value) (cache.Labels, error) {
	if len(given) > cache.MaxLabels {
		return nil, envelope.Invalid("labels: at most %d are allowed", cache.MaxLabels)
	}
	labels := cache.Labels{}
	for name, value := range given {
		if !cache.ValidLabelName(name) {
			return nil, envelope.Invalid("labels: a name must be 1 to %d letters, digits, dots, hyphens and underscores", cache.MaxLabelName)
		}
		switch value.Kind() {
		case '"':
			text, err := jsontext.AppendUnquote(nil, value)
			if err == nil {
				labels[name] = string(text)
			}
		case '0':
			labels[name] = string(value)
		}
		if !cache.ValidLabelValue(labels[name]) {
			return nil, envelope.Invalid("labels.%s: must be a string or a number of 1 to %d bytes without control characters", name, cache.MaxLabelValue)
		}
	}
	return labels, nil
}

func registered(r cache.Registration) []byte {
	b := envelope.AppendString([]byte(`{"executionArn":`), string(r.ARN))
	b = envelope.AppendString(append(b, `,"owner":`...), r.Owner)
	b = r.Labels.AppendMember(b)
	return envelope.Success(append(b, '}'))
}
