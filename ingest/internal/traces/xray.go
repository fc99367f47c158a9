package traces

import (
	"strings"

	"go.opentelemetry.io/otel/trace"
)

// maxHeader is the maximum length of a trace header in bytes. Longer headers are ignored.
const maxHeader = 500

// parseHeader reads a header of X-Ray, such as
// Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1. It returns the
// span in the header, which is not valid if there is none, and the trace ID in the form of
// X-Ray, empty if the text is not such a header.
func parseHeader(header string) (span trace.SpanContext, root string) {
	if header == "" || len(header) > maxHeader {
		return span, ""
	}
	var c trace.SpanContextConfig
	for field := range strings.SplitSeq(header, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "Root":
			if id, ok := parseRoot(value); ok {
				c.TraceID, root = id, value
			}
		case "Parent":
			c.SpanID, _ = trace.SpanIDFromHex(value) // not valid: no link
		case "Sampled":
			c.TraceFlags = c.TraceFlags.WithSampled(value == "1")
		}
	}
	c.Remote = true
	return trace.NewSpanContext(c), root
}

// parseRoot reads a trace ID: version 1, the time in 8 hexadecimal digits, and 24 more digits.
func parseRoot(s string) (trace.TraceID, bool) {
	if len(s) != len("1-")+8+len("-")+24 || s[:2] != "1-" || s[10] != '-' {
		return trace.TraceID{}, false
	}
	id, err := trace.TraceIDFromHex(s[2:10] + s[11:])
	return id, err == nil
}
