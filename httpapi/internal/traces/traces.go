// Package traces makes the OpenTelemetry spans of requests, and passes their trace on.
//
// A span has the method, the route, the path, the status and the id of the request. It has no
// query, which may contain a link, no header and no body. Without a provider the Tracer is
// nil, and costs nothing.
package traces

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Scope is the name under which spans of requests are reported.
const Scope = "statuscache/httpapi"

// requestKey is the attribute with the id of the request.
const requestKey = attribute.Key("statuscache.request")

// maxPath is the maximum length of a path in a span, in bytes.
const maxPath = 512

// Tracer makes spans. The nil Tracer makes none.
type Tracer struct{ tracer trace.Tracer }

// New returns a Tracer, nil for nil.
func New(p trace.TracerProvider) *Tracer {
	if p == nil {
		return nil
	}
	return &Tracer{p.Tracer(Scope)}
}

// Start starts the span of a request, in the trace of its traceparent header, and returns
// the request with the span. known reports that the path belongs to the service.
func (t *Tracer) Start(r *http.Request, route, id string, known bool, begun time.Time) (*http.Request, trace.Span) {
	method := methodOf(r)
	attributes := []attribute.KeyValue{semconv.HTTPRequestMethodKey.String(method), semconv.HTTPRoute(route), requestKey.String(strings.Clone(id))}
	if known { // an unknown path may contain anything
		attributes = append(attributes, semconv.URLPath(strings.Clone(r.URL.Path[:min(len(r.URL.Path), maxPath)])))
	}
	ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := t.tracer.Start(ctx, method+" "+route, trace.WithTimestamp(begun), trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attributes...))
	return r.WithContext(ctx), span
}

// End ends the span of a request. failed is the error of the service, nil if it did not fail.
func End(span trace.Span, status int, failed error) {
	if status > 0 {
		span.SetAttributes(semconv.HTTPResponseStatusCode(status))
	}
	switch {
	case failed != nil:
		span.SetStatus(codes.Error, failed.Error())
	case status >= http.StatusInternalServerError:
		span.SetStatus(codes.Error, http.StatusText(status))
	}
	span.End()
}

// methods are the methods that a span names, because callers can send any text.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}

func methodOf(r *http.Request) string {
	if i := slices.Index(methods, r.Method); i >= 0 {
		return methods[i]
	}
	return "_OTHER"
}

// Transport makes a span for each request that the service sends, and passes the trace
// on. nil: http.DefaultTransport unchanged.
func (t *Tracer) Transport() http.RoundTripper {
	if t == nil {
		return http.DefaultTransport
	}
	return transport{t.tracer}
}

type transport struct{ tracer trace.Tracer }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	method := methodOf(r)
	ctx, span := t.tracer.Start(r.Context(), method, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		semconv.HTTPRequestMethodKey.String(method), semconv.ServerAddress(r.URL.Hostname())))
	defer span.End()
	r = r.Clone(ctx)
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(r.Header))
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
		return nil, err
	}
	span.SetAttributes(semconv.HTTPResponseStatusCode(answer.StatusCode))
	return answer, nil
}
