package tracing

import (
	"fmt"
	"net/url"
	"strings"
)

// Setting is a variable of the SDK, and its value.
type Setting struct{ Name, Text string }

// names are the variables that affect traces, in the order in which they are shown.
var names = []string{
	"OTEL_SDK_DISABLED", tracesExporter, otlpEndpoint, tracesEndpoint,
	"OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
	"OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_COMPRESSION", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
	"OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_KEY",
	"OTEL_EXPORTER_OTLP_INSECURE", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES",
	"OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT", "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
}

// Variables that switch tracing on.
const (
	tracesExporter = "OTEL_TRACES_EXPORTER"
	otlpEndpoint   = "OTEL_EXPORTER_OTLP_ENDPOINT"
	tracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
)

// Settings returns the variables that are set, with secrets hidden.
func Settings(getenv func(string) string) (set []Setting) {
	for _, name := range names {
		if text := getenv(name); text != "" {
			set = append(set, Setting{name, shown(name, text)})
		}
	}
	return set
}

// shown hides possible secrets: headers, and the user part and the query of a URL.
func shown(name, text string) string {
	const hidden = "(hidden)"
	switch {
	case strings.HasSuffix(name, "_HEADERS"):
		return hidden
	case !strings.HasSuffix(name, "_ENDPOINT"):
		return text
	}
	u, err := url.Parse(text)
	if err != nil || u.User != nil || u.RawQuery != "" || u.Opaque != "" {
		return hidden
	}
	return text
}

// On reports whether the environment switches tracing on.
func On(getenv func(string) string) bool {
	if strings.EqualFold(strings.TrimSpace(getenv("OTEL_SDK_DISABLED")), "true") {
		return false
	}
	switch exporter := getenv(tracesExporter); exporter {
	case "none":
		return false
	case "":
		return getenv(otlpEndpoint) != "" || getenv(tracesEndpoint) != ""
	}
	return true
}

// Check returns what is wrong with the endpoints. The SDK would silently use another
// endpoint.
func Check(getenv func(string) string) []error {
	var problems []error
	for _, name := range []string{otlpEndpoint, tracesEndpoint} {
		text := getenv(name)
		if text == "" || !On(getenv) {
			continue
		}
		if u, err := url.Parse(text); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			problems = append(problems, fmt.Errorf("%s: not the URL of an OTLP receiver, such as http://localhost:4318", name))
		}
	}
	return problems
}
