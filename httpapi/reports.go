package httpapi

import (
	"context"
	"net/http"

	"github.com/go-json-experiment/json"

	"statuscache/cache"
	"statuscache/httpapi/internal/envelope"
	"statuscache/httpapi/internal/reports"
)

// Trails explains where the status of an execution comes from.
type Trails interface {
	Explain(ctx context.Context, arn cache.ARN) (cache.Explanation, error)
}

const trailRoute = "/v1/executions/{executionArn}/trail"

// getTrail is GET /v1/executions/{executionArn}/trail: the observations from which the
// status of an execution is known.
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

// sendReport answers with data, which is different the next time.
func (x *exchange) sendReport(report any) error {
	data, err := json.Marshal(report)
	if err != nil {
		return envelope.Internal(err)
	}
	x.w.Header()["Cache-Control"] = envelope.NoStore
	x.send(http.StatusOK, envelope.JSONType, envelope.Success(data))
	return nil
}
