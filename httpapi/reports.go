package httpapi

import (
	"context"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"statuscache/cache"
	"statuscache/cache/stats"
	"statuscache/httpapi/internal/envelope"
	"statuscache/httpapi/internal/headers"
	"statuscache/httpapi/internal/reports"
)

// Trails explains where the status of an execution comes from.
type Trails interface {
	Explain(ctx context.Context, arn cache.ARN) (cache.Explanation, error)
}

const trailRoute = "/v1/executions/{executionArn}/trail"

// getTrail is GET /v1/executions/{executionArn}/trail: the observations that explain the
// status of an execution.
func (s *Server) getTrail(x *exchange) error {
	if !x.caller.ReadAll {
		return errOperators
	}
	text, _ := decodedARN(x.r.URL, "/v1/executions/", "/trail")
	arn, err := cache.ParseARN(text)
	if err != nil {
		return envelope.Invalid("executionArn: %s", err)
	}
	explained, err := s.options.Trails.Explain(x.r.Context(), arn)
	switch {
	case err != nil:
		return err
	case explained.Record == nil && len(explained.Trail) == 0:
		return s.unknown()
	}
	return x.sendReport(reports.NewTrail(arn, explained))
}

var errOperators = envelope.Forbidden("this needs the scope read:all")

// sendReport answers with data that may be different the next time.
func (x *exchange) sendReport(report any) error {
	data, err := json.Marshal(report)
	if err != nil {
		return envelope.Internal(err)
	}
	x.w.Header()["Cache-Control"] = envelope.NoStore
	x.send(http.StatusOK, envelope.JSONType, envelope.Success(data))
	return nil
}

// getFailures is GET /v1/failures: the failures of a window, by cause.
func (s *Server) getFailures(x *exchange) error {
	q, err := x.question("window", "stateMachineArn")
	if err != nil {
		return err
	}
	window, known := reports.Windows[q.Window]
	if !known {
		return envelope.Invalid("window: must be 1h, 24h or 7d")
	}
	return x.sendSnapshot(q.Key("failures"), reports.FailuresReport(s.options.Statistics, q, window))
}

// getDurations is GET /v1/durations: how long executions take.
func (s *Server) getDurations(x *exchange) error {
	q, err := x.question("stateMachineArn")
	if err != nil {
		return err
	}
	texts := &reports.DurationTexts{}
	if q.Scope.All && q.StateMachine == "" {
		texts = &s.durations // the longest report
	}
	return x.sendSnapshot(q.Key("durations"), texts.Report(s.options.Statistics, q))
}

// getOverview is GET /v1/overview: the data of a landing page, once or as a stream.
func (s *Server) getOverview(x *exchange) error {
	q, err := x.question()
	if err != nil {
		return err
	}
	if !headers.WantsStream(x.r) {
		return x.sendSnapshot(q.Key(overview), s.overview(q.Scope))
	}
	o, err := s.freshOverview(x.r.Context(), q)
	if err != nil {
		return err
	}
	return x.detach(1, streamEnd(), func(x *exchange) error { return x.followOverview(q, o) })
}

const overview = "overview"

// overview makes an overview of a scope.
func (s *Server) overview(scope stats.Scope) reports.Report {
	return func(ctx context.Context) (reports.Encoded, error) {
		o, err := reports.NewOverview(ctx, s.options.Statistics, s.options.Overdue, scope, s.surroundings(), time.Now())
		if err != nil {
			return reports.Encoded{}, err
		}
		return o.Encode()
	}
}

func (s *Server) freshOverview(ctx context.Context, q reports.Question) (*reports.Snapshot, error) {
	return s.snapshots.Fresh(ctx, q.Key(overview), s.overview(q.Scope))
}

// overviewEvery is how often an overview is sent while something changes.
const overviewEvery = 2 * time.Second

// followOverview sends an overview, and then each one that differs from the previous one.
func (x *exchange) followOverview(q reports.Question, o *reports.Snapshot) error {
	e, err := x.openStream()
	defer e.close()
	for err == nil {
		e.event(overview, "", o.Data())
		if err = e.flush(); err == nil {
			o, err = e.nextOverview(q, o.State)
		}
	}
	return nil // however it ends, the client connects again
}

// nextOverview waits for an overview of another state.
func (e *events) nextOverview(q reports.Question, sent reports.State) (o *reports.Snapshot, err error) {
	tick := time.NewTicker(overviewEvery)
	defer tick.Stop()
	err = e.until(func(early <-chan time.Time) (bool, error) {
		for {
			select {
			case <-e.ctx.Done():
				return false, context.Cause(e.ctx)
			case <-early:
				return false, nil
			case <-tick.C:
			}
			o, err = e.x.server.freshOverview(e.ctx, q)
			if err != nil { // the client must not take silence for "nothing has changed"
				return false, err
			}
			if o.State != sent {
				return true, nil
			}
		}
	})
	return o, err
}

// question reads the query of a request. It may have only the named parameters, each once.
func (x *exchange) question(parameters ...string) (reports.Question, error) {
	if !x.caller.Read && !x.caller.ReadAll {
		return reports.Question{}, errNoRead
	}
	values, err := x.query()
	if err != nil {
		return reports.Question{}, err
	}
	return reports.ReadQuestion(values, stats.Scope{Owner: x.caller.Owner, All: x.caller.ReadAll}, parameters...)
}

// sendSnapshot answers with a report. Its tag does not depend on the time of the report.
func (x *exchange) sendSnapshot(question string, report reports.Report) error {
	shot, err := x.server.snapshots.Of(x.r.Context(), question, report)
	if err != nil {
		return err
	}
	if !x.unchanged(shot.State[:]) {
		x.send(http.StatusOK, envelope.JSONType, shot.Body)
	}
	return nil
}

// unchanged writes the headers of a report, and answers with 304 if the caller has the
// same state. The tag is weak because it does not include the time of the report.
func (x *exchange) unchanged(state []byte) bool {
	tag := `"` + hex.EncodeToString(state[:16]) + `"`
	h := x.w.Header()
	h["Etag"], h["Cache-Control"] = []string{"W/" + tag}, envelope.PrivateCache
	match, named := headers.Matches(x.r.Header["If-None-Match"], tag)
	if match {
		if named != "" {
			x.server.auth.Refund(&x.caller, x.start)
		}
		x.sendHead(http.StatusNotModified)
	}
	return match
}

// surroundings returns the parts of an overview that are not counters.
func (s *Server) surroundings() reports.Surroundings {
	h := s.health.Now()
	around := reports.Surroundings{Audits: map[string]reports.Audit{}, Service: reports.Service{Status: h.Status, Reasons: h.Reasons}}
	if s.options.Audits != nil {
		for name, a := range s.options.Audits() {
			around.Audits[name] = reports.Audit{ConfirmedUntil: a.ConfirmedUntil}
		}
	}
	if s.options.Intake == nil {
		return around
	}
	for name, n := range s.options.Intake.Repairs() {
		a := around.Audits[name]
		a.Repairs = n
		around.Audits[name] = a
	}
	around.EventAge, around.Queue = reports.NewEventAge(s.options.Intake.Ages()), reports.NewQueue(s.options.Intake.Queue())
	return around
}
