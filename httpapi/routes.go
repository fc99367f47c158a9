package httpapi

import (
	"net/http"

	"github.com/gorilla/mux"
	"github.com/rs/cors"
)

// How many requests may be inside at once, by route. Beyond that they are
// refused at once, which is better than all of them being late.
const (
	maxReads         = 20_000
	maxRegistrations = 1_000
)

// routes builds the way of a request. The status route is the hot one: it is
// found here, because the router costs half of a request (gorilla/mux 1.8.1).
func (s *Server) routes() http.Handler {
	status := s.route("/v1/status/{executionArn}", s.getStatus, maxReads, http.MethodGet, http.MethodHead)
	router := mux.NewRouter().UseEncodedPath().SkipClean(true)
	routes := map[string]*route{
		"/v1/status":     s.route("/v1/status", s.postStatus, maxRegistrations, http.MethodPost),
		"/v1/wait":       s.route("/v1/wait", s.postWait, maxRegistrations, http.MethodPost),
		"/v1/executions": s.route("/v1/executions", s.executions, maxRegistrations, http.MethodGet, http.MethodHead, http.MethodPost),
		"/v1/health":     s.openRoute("/v1/health", s.getHealth, http.MethodGet, http.MethodHead),
	}
	for _, p := range s.options.Posts {
		routes[p.Path] = s.route(p.Path, s.post(p), maxRegistrations, http.MethodPost)
	}
	for path, rt := range routes {
		router.Path(path).HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(rt, w, r) })
	}
	below := s.route("/v1/*", unknownPath, maxReads)
	router.PathPrefix("/v1/").HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(below, w, r) })
	elsewhere := s.openRoute("*", unknownPath)
	router.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(elsewhere, w, r) })

	return s.crossOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := statusText(r.URL); ok {
			s.serve(status, w, r)
			return
		}
		router.ServeHTTP(w, r)
	}))
}

func (s *Server) route(name string, handle func(*exchange) error, limit int64, methods ...string) *route {
	return &route{
		name: name, methods: methods, handle: handle,
		inFlight: limitCounter{limit: limit}, metrics: s.metrics.route(name), waits: s.metrics.route(name + " waiting"),
	}
}

func (s *Server) openRoute(name string, handle func(*exchange) error, methods ...string) *route {
	rt := s.route(name, handle, maxReads, methods...)
	rt.open = true
	return rt
}

func unknownPath(*exchange) error { return notFound("there is nothing at this path") }

// crossOrigin lets the pages of the allowed origins call the API.
func (s *Server) crossOrigin(next http.Handler) http.Handler {
	if len(s.options.Origins) == 0 {
		return next
	}
	handler := cors.New(cors.Options{
		AllowedOrigins: s.options.Origins,
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost},
		AllowedHeaders: []string{"Authorization", "Content-Type", "If-None-Match", "Prefer", "Last-Event-ID", "X-Request-Id"},
		ExposedHeaders: []string{"ETag", "Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-Id", "Preference-Applied"},
		MaxAge:         600, // seconds
	}).Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header["Origin"] == nil && r.Method != http.MethodOptions {
			next.ServeHTTP(w, r)
			return
		}
		handler.ServeHTTP(w, r)
	})
}
