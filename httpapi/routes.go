package httpapi

import (
	"net/http"
	"strings"

	"github.com/gorilla/mux"

	"statuscache/httpapi/docs"
	"statuscache/httpapi/internal/envelope"
	"statuscache/httpapi/internal/fairness"
	"statuscache/httpapi/internal/headers"
)

// routes builds the handler of all routes. The status route is the hot one. It is matched
// here, because the router would take half of the time of a request (gorilla/mux 1.8.1).
func (s *Server) routes() http.Handler {
	router := mux.NewRouter().UseEncodedPath().SkipClean(true)
	routes := s.routeTable()
	status := routes[statusRoute]
	for path, rt := range routes {
		if rt != status {
			// An ARN may have a slash.
			router.Path(strings.Replace(path, "{executionArn}", "{executionArn:.+}", 1)).HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(rt, w, r) })
		}
	}
	below := s.route("/v1/*", unknownPath, s.limits.Reads)
	router.PathPrefix("/v1/").HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(below, w, r) })
	elsewhere := s.openRoute("*", unknownPath)
	router.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(elsewhere, w, r) })

	return headers.CrossOrigin(s.options.Origins, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := statusText(r.URL); ok {
			s.serve(status, w, r)
			return
		}
		router.ServeHTTP(w, r)
	}))
}

// statusRoute is the path of the hot route in the contract.
const statusRoute = "/v1/status/{executionArn}"

// routeTable returns every route by its path.
func (s *Server) routeTable() map[string]*route {
	get := []string{http.MethodGet, http.MethodHead}
	routes := map[string]*route{
		statusRoute:      s.route(statusRoute, s.getStatus, s.limits.Reads, get...),
		"/v1/status":     s.route("/v1/status", s.postStatus, s.limits.Others, http.MethodPost),
		"/v1/wait":       s.route("/v1/wait", s.postWait, s.limits.Others, http.MethodPost),
		"/v1/links":      s.route("/v1/links", s.postLink, s.limits.Others, http.MethodPost),
		"/v1/executions": s.route("/v1/executions", s.getOrPostExecutions, s.limits.Others, http.MethodGet, http.MethodHead, http.MethodPost),
		"/v1/failures":   s.route("/v1/failures", s.getFailures, s.limits.Others, get...),
		"/v1/durations":  s.route("/v1/durations", s.getDurations, s.limits.Others, get...),
		"/v1/overview":   s.route("/v1/overview", s.getOverview, s.limits.Others, get...),
		outputRoute:      s.route(outputRoute, s.postOutput, s.limits.Others, http.MethodPost),
		trailRoute:       s.route(trailRoute, s.getTrail, s.limits.Others, get...),
		"/v1/health":     s.openRoute("/v1/health", s.getHealth, get...),
	}
	routes[statusRoute].links = true
	for _, path := range docs.Paths {
		routes[path] = s.openRoute(path, getPage(path), get...)
	}
	s.addDashboard(routes)
	for _, p := range s.options.Posts {
		routes[p.Path] = s.route(p.Path, s.post(p), s.limits.Others, http.MethodPost)
	}
	return routes
}

func (s *Server) route(name string, handle func(*exchange) error, limit int64, methods ...string) *route {
	return &route{
		name: name, methods: methods, handle: handle,
		places: s.pools.New(limit, fairness.Evenly), metrics: s.metrics.route(name), waits: s.metrics.route(name + " waiting"),
	}
}

func (s *Server) openRoute(name string, handle func(*exchange) error, methods ...string) *route {
	rt := s.route(name, handle, s.limits.Others, methods...)
	rt.open = true
	return rt
}

// getOrPostExecutions is /v1/executions: a list of executions, or a registration.
func (s *Server) getOrPostExecutions(x *exchange) error {
	if x.r.Method == http.MethodPost {
		return s.postExecution(x)
	}
	return s.getExecutions(x)
}

func unknownPath(*exchange) error { return envelope.NotFound("there is nothing at this path") }
