// Package tracing sets up the export of OpenTelemetry spans. Nothing waits for this export.
//
// Tracing is off unless OTEL_TRACES_EXPORTER or the endpoint of an OTLP receiver is set. If it
// is off, Open returns nil, and the parts of the service create no spans, which costs nothing.
// The variables OTEL_* are those of the SDK. Spans wait for their export in a queue; when it is
// full, spans are dropped. Only W3C Trace Context is read and passed on.
package tracing
