package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"statuscache/cache/outage"
)

// Traces creates and exports spans. A nil Traces creates none.
type Traces struct {
	provider *sdktrace.TracerProvider
	flush    time.Duration // for the last spans
	log      *slog.Logger
}

// Options configure Traces.
type Options struct {
	Service, Version string        // the name of the program; OTEL_SERVICE_NAME overrides it
	Flush            time.Duration // how long the last spans may take, when Run ends
	Log              *slog.Logger
	Metrics          prometheus.Registerer
}

// Open reads the settings of the SDK from the environment. It connects to nothing.
func Open(ctx context.Context, o Options) (*Traces, error) {
	exporter, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return nil, fmt.Errorf("OTEL_TRACES_EXPORTER, OTEL_EXPORTER_OTLP_PROTOCOL: %w; use otlp or console, and http/protobuf or grpc", err)
	}
	what, err := resource.New(ctx, resource.WithTelemetrySDK(),
		resource.WithAttributes(semconv.ServiceName(o.Service), semconv.ServiceVersion(o.Version)), resource.WithHost(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w; write name=value,name=value", err)
	}
	watched := watch(exporter, o.Log, o.Metrics)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(watched.failed)) // the SDK has one error handler for the whole process
	return &Traces{
		provider: sdktrace.NewTracerProvider(sdktrace.WithBatcher(watched), sdktrace.WithResource(what)),
		flush:    o.Flush, log: o.Log,
	}, nil
}

// Provider returns the tracer provider, nil for nil Traces.
func (t *Traces) Provider() trace.TracerProvider {
	if t == nil {
		return nil // a nil interface, not one that holds a nil pointer, so that callers can compare it with nil
	}
	return t.provider
}

// Run waits until ctx ends, and then exports the last spans.
func (t *Traces) Run(ctx context.Context) error {
	<-ctx.Done()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.flush)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.log.Warn("the last spans could not be exported and are lost; check OTEL_EXPORTER_OTLP_ENDPOINT, and that the receiver is up", "error", err)
	}
	return nil
}

// watched is an exporter that counts its failures and logs each outage once.
type watched struct {
	sdktrace.SpanExporter
	spans *prometheus.CounterVec
	state outage.Part
}

func watch(e sdktrace.SpanExporter, log *slog.Logger, metrics prometheus.Registerer) *watched {
	w := &watched{SpanExporter: e, spans: prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "statuscache", Name: "spans_total", Help: "Spans by result: exported, or lost because the receiver did not accept them.",
	}, []string{"result"}), state: outage.Part{
		Log:  log,
		Lost: "spans cannot be exported and are dropped; requests and events do not wait for them; check OTEL_EXPORTER_OTLP_ENDPOINT, _PROTOCOL and _HEADERS, and that the receiver is up",
		Back: "spans are exported again",
	}}
	for _, result := range []string{exported, lost} {
		w.spans.WithLabelValues(result)
	}
	metrics.MustRegister(w.spans)
	return w
}

// Results of an export.
const (
	exported = "exported"
	lost     = "lost"
)

// ExportSpans implements sdktrace.SpanExporter.
func (w *watched) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := w.SpanExporter.ExportSpans(ctx, spans)
	w.state.Is(err)
	result := exported
	if err != nil {
		result = lost
	}
	w.spans.WithLabelValues(result).Add(float64(len(spans)))
	return nil // the SDK would log every failure
}

// failed handles errors that the SDK does not return to a caller, such as a partly refused
// export.
func (w *watched) failed(err error) { w.state.Is(err) }
