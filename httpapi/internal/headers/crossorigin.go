package headers

import (
	"net/http"
	"slices"
	"strings"

	"github.com/rs/cors"
)

// allowedHeaders are the request headers that a page of an allowed origin may set: those
// that the API reads, and those that tracing tools add to each request of a page.
var allowedHeaders = []string{
	"Accept", "Authorization", "Cache-Control", "Content-Type", "If-None-Match", "Last-Event-ID", "Prefer", "X-Request-Id",
	"traceparent", "tracestate", "baggage", // W3C, OpenTelemetry
	"sentry-trace",
	"x-datadog-trace-id", "x-datadog-parent-id", "x-datadog-origin", "x-datadog-sampling-priority", "x-datadog-tags", "x-datadog-sampled",
	"b3", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags",
	"newrelic", "elastic-apm-traceparent", "uber-trace-id", "x-amzn-trace-id", "x-cloud-trace-context",
	"request-id", "request-context", // Application Insights
	"x-instana-t", "x-instana-s", "x-instana-l", // Instana
	"sw8", "sw8-correlation", "sw8-x", // SkyWalking
	"x-dynatrace", "x-dtc", "x-dtpc", "x-dtreferer", // Dynatrace
	"adrum", "adrumdata", // AppDynamics
	"x-ot-span-context", "ot-tracer-traceid", "ot-tracer-spanid", "ot-tracer-sampled", // OpenTracing
	"jaeger-debug-id", "jaeger-baggage", "grpc-trace-bin", "x-honeycomb-trace", "x-highlight-request",
	"x-posthog-distinct-id", "x-posthog-session-id", "x-posthog-window-id", "x-openreplay-session-token", "x-openreplay-sessionid",
	"x-trace-id", "x-correlation-id", "x-client-trace-id",
	"accept-language", "pragma", // headers that browsers send, and that pages may set
	"x-requested-with",
}

// exposedHeaders are the response headers that a page of an allowed origin may read.
var exposedHeaders = []string{"ETag", "Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-Id", "Preference-Applied", "WWW-Authenticate"}

var varyOrigin = []string{"Origin"}

// CrossOrigin lets the pages of the allowed origins call the API.
func CrossOrigin(origins []string, next http.Handler) http.Handler {
	if len(origins) == 0 {
		return next
	}
	handler := cors.New(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost},
		AllowedHeaders: allowedHeaders,
		ExposedHeaders: exposedHeaders,
		MaxAge:         600, // seconds
	}).Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header["Origin"] == nil && r.Method != http.MethodOptions {
			w.Header()["Vary"] = varyOrigin // a cache must not return this answer to a page
			next.ServeHTTP(w, r)
			return
		}
		inOneForm(r.Header)
		handler.ServeHTTP(w, r)
	})
}

// inOneForm changes the list of headers in a preflight to lower case and sorts it.
// rs/cors accepts only this form, which browsers send, and would refuse requests that
// people write by hand.
func inOneForm(h http.Header) {
	const name = "Access-Control-Request-Headers"
	if len(h[name]) == 0 {
		return
	}
	asked := strings.Split(strings.ToLower(strings.Join(h[name], ",")), ",")
	for i := range asked {
		asked[i] = strings.TrimSpace(asked[i])
	}
	slices.Sort(asked)
	asked = slices.DeleteFunc(slices.Compact(asked), func(each string) bool { return each == "" })
	h[name] = []string{strings.Join(asked, ",")}
}
