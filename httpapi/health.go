package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/pprof"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"statuscache/cache"
	"statuscache/httpapi/internal/envelope"
)

// health is the answer of GET /v1/health. It names what is wrong and not why, because it
// is public.
type health struct {
	Status  string   `json:"status"`
	Reasons []string `json:"reasons,omitempty"`
	Notes   []string `json:"notes,omitempty"`
	Parts   []part   `json:"parts,omitempty"`
	Version string   `json:"version"`
	Audit   []audit  `json:"audit,omitempty"`
}

// part is a part of the service that must work.
type part struct {
	Name    string `json:"name"`
	Problem string `json:"problem,omitempty"` // as in the reasons
}

// audit is up to when a state machine has been compared with Step Functions. Its ARN
// would reveal the account.
type audit struct {
	StateMachine   string     `json:"stateMachine"`
	ConfirmedUntil *time.Time `json:"confirmedUntil"`
	Doubts         int        `json:"doubts"`
	Problem        string     `json:"problem,omitempty"`
}

func (s *Server) audits() (all []audit) {
	if s.options.Audits == nil {
		return nil
	}
	audits := s.options.Audits()
	for _, machine := range slices.Sorted(maps.Keys(audits)) {
		if ours := s.options.StateMachines; len(ours) > 0 && !slices.Contains(ours, machine) {
			continue // of an earlier configuration, such as one with a typing error
		}
		each := audit{StateMachine: cache.MachineARN(machine).Name(), Doubts: audits[machine].Mismatches, Problem: audits[machine].Problem}
		if until := audits[machine].ConfirmedUntil.UTC(); !until.IsZero() {
			each.ConfirmedUntil = &until
		}
		all = append(all, each)
	}
	return all
}

// confirmedUntil returns the time up to which the state machine of an execution is
// known to be whole, zero for none. Children of a Distributed Map are not listed
// with it.
func (s *Server) confirmedUntil(arn cache.ARN) time.Time {
	if s.options.Audits == nil {
		return time.Time{}
	}
	return s.options.Audits()[arn.StateMachine()].ConfirmedUntil
}

// healthNow returns what the service lacks.
func (s *Server) healthNow() health {
	h := health{Status: "ok", Version: s.options.Version, Audit: s.audits()}
	for _, each := range h.Audit {
		if each.Problem != "" {
			h.Status = "degraded"
			h.Reasons = append(h.Reasons, "audit of "+each.StateMachine+": "+each.Problem)
		}
	}
	if s.options.Concerns != nil {
		for _, concern := range s.options.Concerns() {
			h.Status, h.Reasons = "degraded", append(h.Reasons, concern)
		}
	}
	if s.options.Notes != nil {
		h.Notes = s.options.Notes()
	}
	for _, p := range s.options.Parts {
		h.Parts = append(h.Parts, part{Name: p.Name})
		if err := p.Ready(); err != nil {
			problem := reason{p.Name, err}.problem()
			h.Parts[len(h.Parts)-1].Problem = problem
			h.Status, h.Reasons = "degraded", append(h.Reasons, p.Name+": "+problem)
		}
	}
	for _, reason := range s.doubts() {
		h.Status, h.Reasons = "degraded", append(h.Reasons, reason)
	}
	if s.faults.OutOfFiles() {
		h.Status = "degraded"
		h.Reasons = append(h.Reasons, "connections: not all are accepted")
	}
	if s.draining.Load() {
		h.Status = "degraded"
		h.Reasons = append(h.Reasons, "shutting down")
	}
	return h
}

// certificateWarning is how long before its end a certificate is reported.
const certificateWarning = 7 * 24 * time.Hour

// doubts are what keeps some callers out, now or soon, and not all of them.
func (s *Server) doubts() (all []string) {
	if err := s.auth.Introspection(); err != nil {
		all = append(all, "introspection: "+reason{"introspection", err}.problem())
	}
	if s.options.TLS == nil {
		return all
	}
	switch ends := s.options.TLS.Ends(); {
	case !time.Now().Before(ends):
		all = append(all, "certificate: it has ended")
	case time.Until(ends) < certificateWarning:
		all = append(all, "certificate: it ends at "+ends.UTC().Format(time.RFC3339))
	}
	return all
}

// getHealth is GET /v1/health: 200 as long as the process answers.
func (s *Server) getHealth(x *exchange) error {
	data, err := json.Marshal(s.healthNow())
	if err != nil {
		return envelope.Internal(err)
	}
	x.w.Header()["Cache-Control"] = envelope.NoStore
	x.send(http.StatusOK, envelope.JSONType, envelope.Success(data))
	return nil
}

// reason is why something is not ready.
type reason struct {
	part string
	err  error
}

// problem is the text for everybody: the public text of the error, if it has one.
func (r reason) problem() string {
	var known interface{ Public() string }
	if errors.As(r.err, &known) {
		return known.Public()
	}
	return "not available"
}

func (s *Server) notReady() []reason {
	var all []reason
	for _, p := range s.options.Parts {
		if err := p.Ready(); err != nil {
			all = append(all, reason{p.Name, err})
		}
	}
	return all
}

// Admin serves metrics, probes and profiles. It is not for the public.
//
// /livez never checks Redis: a restart would not help. /readyz lists each reason why
// requests should go to another process.
func (s *Server) Admin() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	m.HandleFunc("GET /readyz", s.getReady)
	var gatherer prometheus.Gatherer = s.options.Metrics
	m.Handle("GET /metrics", promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{}))
	m.HandleFunc("GET /debug/pprof/", pprof.Index)
	m.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	m.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	m.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	m.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return m
}

func (s *Server) getReady(w http.ResponseWriter, _ *http.Request) {
	var text bytes.Buffer
	for _, r := range s.notReady() {
		_, _ = fmt.Fprintf(&text, "%s: %v\n", r.part, r.err)
	}
	if s.draining.Load() {
		_, _ = fmt.Fprintln(&text, "shutting down")
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if text.Len() > 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write(text.Bytes()) // the prober has gone
		return
	}
	_, _ = fmt.Fprintln(w, "ready")
}
