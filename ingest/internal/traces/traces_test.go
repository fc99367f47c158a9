package traces

import (
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace/noop"
)

func TestParseHeader(t *testing.T) {
	t.Parallel()
	const root, parent = "1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8"
	const traceID = "5759e988bd862e3fe1be46a994272793"
	for header, want := range map[string]struct {
		linked, sampled bool
		root            string
	}{
		"Root=" + root + ";Parent=" + parent + ";Sampled=1":                {true, true, root},
		"Root=" + root + ";Parent=" + parent + ";Sampled=0":                {true, false, root},
		"Sampled=1; Parent=" + parent + "; Root=" + root + ";Lineage=a:b":  {true, true, root},
		"Root=" + root + ";Parent=" + parent:                               {true, false, root},
		"Root=" + root:                                                     {false, false, root},
		"Root=" + root + ";Parent=0000000000000000":                        {false, false, root},
		"Root=" + root + ";Parent=xyz;Sampled=1":                           {false, true, root},
		"Root=2-5759e988-bd862e3fe1be46a994272793;Parent=" + parent:        {},
		"Root=1-5759e988bd862e3fe1be46a994272793;Parent=" + parent:         {},
		"Root=1-00000000-000000000000000000000000;Parent=" + parent:        {},
		"Parent=" + parent:                                                 {},
		"":                                                                 {},
		";;=;Root":                                                         {},
		"Root=" + root + ";Parent=" + parent + strings.Repeat(";x=y", 200): {},
	} {
		span, got := parseHeader(header)
		if span.IsValid() != want.linked || span.IsSampled() != want.sampled || got != want.root {
			t.Errorf("%q: %+v, root %q", header, span, got)
		}
		if want.linked && (span.TraceID().String() != traceID || span.SpanID().String() != parent || !span.IsRemote()) {
			t.Errorf("%q: %+v", header, span)
		}
	}
}

// TestNoTracerCostsNothing: without a provider nothing is allocated for an event. The control
// is a provider whose spans do nothing.
func TestNoTracerCostsNothing(t *testing.T) {
	const header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
	now, failed := time.Now(), error(nil)
	cost := func(tracer *Tracer) float64 {
		return testing.AllocsPerRun(100, func() {
			ctx, batch := tracer.Batch(t.Context(), 10)
			ctx, message := tracer.Message(ctx, "m-1", header, now)
			message.Execution("arn:aws:states:eu-west-1:123456789012:execution:m:1")
			_, described := tracer.Describe(ctx, "hydrate", "arn")
			described.End("", failed)
			message.End("applied", failed)
			batch.End("", failed)
		})
	}
	if got := cost(New(nil)); got != 0 {
		t.Errorf("%v allocations", got)
	}
	if got := cost(New(noop.NewTracerProvider())); got == 0 {
		t.Error("the control: a provider costs nothing either")
	}
}
