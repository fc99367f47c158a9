package httpapi

import (
	"io"
	"math"
	"net/http"
	"testing"

	"go.opentelemetry.io/otel/trace/noop"

	"statuscache/httpapi/wire"
)

// TestTracingOffCostsNothing: while tracing is off, a poll with a trace allocates no more than
// one without. The control is a provider whose spans do nothing.
func TestTracingOffCostsNothing(t *testing.T) { // not parallel: it counts allocations
	s := newService(t, func(o *Options) { o.AccessLog = io.Discard; o.RateLimit = 0 })
	s.apply(succeeded(t, "hot", "ada", `{"rules":[]}`))
	key := s.key("ada")
	path := statusPath + string(arn(t, "hot"))
	for s.ask("GET", path, key).status != http.StatusOK {
	}
	traced := s.options
	traced.Traces, traced.Metrics = noop.NewTracerProvider(), nil
	const plain = "\r\nHost: 127.0.0.1\r\nAuthorization: Bearer "
	const header = "\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\ntracestate: a=b"
	cost := func(server *Server, more string) float64 {
		request := []byte("GET " + path + " HTTP/1.1" + plain + key + more + "\r\n\r\n")
		const polls = 2000
		least := math.Inf(1) // of some runs, because others may allocate meanwhile
		for range 5 {
			least = min(least, testing.AllocsPerRun(1, func() {
				w := wire.New(wire.Options{Handler: server.Handler(), Hot: statusPath, Context: server.withAddress, Draining: &server.draining, Log: server.options.Log})
				w.Serve(t.Context(), wire.Conn{Conn: &endless{request: request, left: polls}})
			}))
		}
		return least / polls
	}
	const half = 0.5 // under the race detector, a pool forgets some of what it is given
	without, with := cost(s.Server, ""), cost(s.Server, header)
	if with > without+half {
		t.Errorf("%.2f allocations with a trace, %.2f without", with, without)
	}
	if control := cost(New(traced), header); control < with+half {
		t.Errorf("the control: %.2f allocations with tracing, %.2f without", control, with)
	}
}
