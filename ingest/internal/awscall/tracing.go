package awscall

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// tracingScope is the name under which spans of calls are reported.
const tracingScope = "statuscache/ingest/aws"

// untraced are the operations that are called every few seconds even if nothing happens.
// Their spans would be most of all spans, and show nothing that metrics do not show.
var untraced = []string{"ReceiveMessage", "GetQueueAttributes"}

// WithTracing makes a span for each call and passes the trace on in the header
// traceparent. It replaces otelaws, which is no longer supported and depends on the
// clients of DynamoDB, S3 and SNS.
func WithTracing(c aws.Config, p trace.TracerProvider) aws.Config {
	t := &tracing{p.Tracer(tracingScope)}
	c = c.Copy()
	c.APIOptions = append(slices.Clone(c.APIOptions), func(stack *middleware.Stack) error {
		if slices.Contains(untraced, stack.ID()) {
			return nil
		}
		if err := stack.Initialize.Add(middleware.InitializeMiddlewareFunc("Trace", t.call), middleware.After); err != nil {
			return err
		}
		return stack.Finalize.Add(middleware.FinalizeMiddlewareFunc("PassTraceOn", passOn), middleware.After)
	})
	return c
}

type tracing struct{ tracer trace.Tracer }

// call makes the span of a call, with its retries. The span has no parameters of the call,
// because they could include the input or output of an execution.
func (t *tracing) call(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	service, operation := awsmiddleware.GetServiceID(ctx), awsmiddleware.GetOperationName(ctx)
	ctx, span := t.tracer.Start(ctx, service+"/"+operation, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		semconv.RPCSystemNameKey.String("aws-api"), semconv.RPCMethod(service+"/"+operation), semconv.CloudRegion(awsmiddleware.GetRegion(ctx))))
	defer span.End()
	out, metadata, err := next.HandleInitialize(ctx, in)
	if id, ok := awsmiddleware.GetRequestIDMetadata(metadata); ok {
		span.SetAttributes(semconv.AWSRequestID(id))
	}
	if answer, ok := awsmiddleware.GetRawResponse(metadata).(*smithyhttp.Response); ok && answer != nil {
		span.SetAttributes(semconv.HTTPResponseStatusCode(answer.StatusCode))
	}
	if err != nil {
		span.SetStatus(codes.Error, Line(err.Error()))
	}
	return out, metadata, err
}

// passOn adds the header after the request is signed, because a proxy that rewrites a signed
// header would invalidate the signature.
func passOn(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
	if request, ok := in.Request.(*smithyhttp.Request); ok {
		propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(request.Header))
	}
	return next.HandleFinalize(ctx, in)
}
