package traces

import (
	"strings"

	"go.opentelemetry.io/otel/trace"
)

// maxHeader is the length of a trace header beyond which it is not read, in bytes.
const maxHeader = 500

// parseHeader reads a header of X-Ray, such as
// Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1. It returns the
// span that it names, which is not valid where it names none, and the id of the trace as
// X-Ray writes it, empty for what is no header.
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

// parseRoot reads the id of a trace: version 1, the time in 8 hexadecimal digits, 24 more.
func parseRoot(s string) (trace.TraceID, bool) {
	if len(s) != len("1-")+8+len("-")+24 || s[:2] != "1-" || s[10] != '-' {
		return trace.TraceID{}, false
	}
	id, err := trace.TraceIDFromHex(s[2:10] + s[11:])
	return id, err == nil
}
