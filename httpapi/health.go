package httpapi

import (
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"statuscache/cache"
	"statuscache/httpapi/internal/envelope"
	"statuscache/httpapi/internal/health"
)

// Part is a part of the service that must work for it to be ready.
type Part = health.Part

// newHealth returns the checks of the health of the service.
func (s *Server) newHealth() *health.Checks {
	o := &s.options
	parts := o.Parts
	if o.JWT != nil {
		parts = append(slices.Clip(parts), Part{Name: "signing keys", Ready: s.auth.Ready})
	}
	return &health.Checks{
		Version: o.Version, Parts: parts, Concerns: o.Concerns, Notes: o.Notes, Audits: o.Audits,
		StateMachines: o.StateMachines, Server: s.problems, Draining: s.draining.Load, Warming: o.Warming,
	}
}

// confirmedUntil returns the time up to which all changes of the execution's state
// machine are known, zero for none. Child executions of a Distributed Map are not listed
// with the state machine.
func (s *Server) confirmedUntil(arn cache.ARN) time.Time {
	if s.options.Audits == nil {
		return time.Time{}
	}
	return s.options.Audits()[arn.StateMachine()].ConfirmedUntil
}

// problems returns what excludes some callers, now or soon, but not all of them.
func (s *Server) problems() (all []string) {
	if err := s.auth.Introspection(); err != nil {
		all = append(all, "introspection: "+health.Public(err))
	}
	if s.options.TLS != nil {
		if problem := s.options.TLS.Problem(); problem != "" {
			all = append(all, problem)
		}
	}
	if s.faults.OutOfFiles() {
		all = append(all, "connections: not all are accepted")
	}
	return all
}

// getHealth is GET /v1/health: 200 as long as the process answers.
func (s *Server) getHealth(x *exchange) error {
	data, err := json.Marshal(s.health.Now())
	if err != nil {
		return envelope.Internal(err)
	}
	x.w.Header()["Cache-Control"] = envelope.NoStore
	x.send(http.StatusOK, envelope.JSONType, envelope.Success(data))
	return nil
}

// Admin serves metrics, probes and profiles. It is not for the public.
func (s *Server) Admin() http.Handler { return s.health.Admin(s.options.Metrics) }
