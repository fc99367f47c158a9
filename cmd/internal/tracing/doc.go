// Package tracing sets up OpenTelemetry: where spans go, and that nothing waits for them.
//
// It is off unless OTEL_TRACES_EXPORTER or the endpoint of an OTLP receiver is set, and then
// costs nothing: Open returns nil, and the parts of the service make no spans. All settings
// OTEL_* are those of the SDK. Spans wait for their export in a queue that drops what it
// cannot hold. Only W3C Trace Context is read and passed on.
package tracing
