package traces

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Scope is the name under which spans of events are reported.
const Scope = "statuscache/ingest"

// Names of attributes without an OpenTelemetry convention.
const (
	executionKey = attribute.Key("statuscache.execution") // ARN
	resultKey    = attribute.Key("statuscache.result")    // as statuscache_events_total counts it
	xrayKey      = attribute.Key("aws.xray.trace_id")     // if the header names no span to link to
)

// Tracer makes spans. The nil Tracer makes none.
type Tracer struct{ tracer trace.Tracer }

// New returns a Tracer, nil for nil.
func New(p trace.TracerProvider) *Tracer {
	if p == nil {
		return nil
	}
	return &Tracer{p.Tracer(Scope)}
}

// Span is a span that ends once. The zero Span does nothing.
type Span struct{ span trace.Span }

// Batch starts the span of messages that were received together.
func (t *Tracer) Batch(ctx context.Context, messages int) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	ctx, span := t.tracer.Start(ctx, "process", trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
		semconv.MessagingSystemAWSSQS, semconv.MessagingOperationTypeProcess, semconv.MessagingBatchMessageCount(messages)))
	return ctx, Span{span}
}

// Message starts the span of one message. header is its X-Ray trace header, empty for none.
func (t *Tracer) Message(ctx context.Context, id, header string, received time.Time) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	options := []trace.SpanStartOption{
		trace.WithTimestamp(received), trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(semconv.MessagingSystemAWSSQS, semconv.MessagingOperationTypeProcess, semconv.MessagingMessageID(id)),
	}
	switch linked, root := parseHeader(header); {
	case linked.IsValid():
		options = append(options, trace.WithLinks(trace.Link{SpanContext: linked}))
	case root != "":
		options = append(options, trace.WithAttributes(xrayKey.String(root)))
	}
	ctx, span := t.tracer.Start(ctx, "process event", options...)
	return ctx, Span{span}
}

// Describe starts the span of an execution that is described.
func (t *Tracer) Describe(ctx context.Context, name, execution string) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	ctx, span := t.tracer.Start(ctx, name, trace.WithAttributes(executionKey.String(execution)))
	return ctx, Span{span}
}

// Execution sets the execution of a message.
func (s Span) Execution(arn string) {
	if s.span != nil {
		s.span.SetAttributes(executionKey.String(arn))
	}
}

// End ends the span of a message with its result.
func (s Span) End(result string, err error) {
	if s.span == nil {
		return
	}
	if result != "" {
		s.span.SetAttributes(resultKey.String(result))
	}
	if err != nil {
		s.span.SetStatus(codes.Error, err.Error())
	}
	s.span.End()
}
