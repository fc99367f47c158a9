package httpapi

import (
	"net/http"
	"testing"
)

// accepts sets the headers Accept of a request.
func accepts(values ...string) func(*http.Request) {
	return func(r *http.Request) { r.Header["Accept"] = values }
}

// TestClientsThatAcceptBothGetJSON asks every route that has a stream, as clients do
// that are generated from the contract.
func TestClientsThatAcceptBothGetJSON(t *testing.T) {
	t.Parallel()
	s := newService(t)
	e := running(t, "both", "ada")
	s.apply(e)
	ada := s.key("ada")
	for _, target := range []string{statusPath + string(e.ARN), "/v1/executions?limit=2"} {
		for _, accept := range [][]string{
			{"application/json, text/event-stream"}, {"text/event-stream", "application/json"},
			{"application/json;q=1, text/event-stream;q=0.5"}, {"*/*"}, {"text/html"}, {"text/event-stream;q=0"},
		} {
			got := s.open(asIs, target, ada, accepts(accept...)) // a stream would not end
			if got.status != 200 || got.header.Get("Content-Type") != "application/json" {
				t.Errorf("%s, Accept: %q: %d %v", target, accept, got.status, got.header)
			}
		}
		for _, accept := range []string{"text/event-stream", "text/event-stream, application/json;q=0.9"} {
			if got := s.open(asIs, target, ada, accepts(accept)); got.status != 200 || got.header.Get("Content-Type") != "text/event-stream; charset=utf-8" {
				t.Errorf("%s, Accept: %s: %d %v", target, accept, got.status, got.header)
			}
		}
	}
}
