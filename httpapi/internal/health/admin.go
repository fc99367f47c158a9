package health

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/pprof"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Admin serves metrics, probes and profiles. It is not for the public.
//
// /livez never checks Redis, because a restart would not help. /readyz lists each reason
// why requests should go to another process.
func (c *Checks) Admin(metrics prometheus.Gatherer) http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	m.HandleFunc("GET /readyz", c.getReady)
	m.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	m.HandleFunc("GET /debug/pprof/", pprof.Index)
	m.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	m.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	m.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	m.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return m
}

// NotReady returns why requests should go to another process, one line for each reason.
func (c *Checks) NotReady() string {
	var text bytes.Buffer
	for _, p := range c.Parts {
		if err := p.Ready(); err != nil {
			_, _ = fmt.Fprintf(&text, "%s: %v\n", p.Name, err)
		}
	}
	if c.Draining() {
		_, _ = fmt.Fprintln(&text, shuttingDown)
	}
	if text.Len() == 0 && c.Warming != nil && c.Warming() { // otherwise it may be waiting for a part that is reported already
		_, _ = fmt.Fprintln(&text, warmingUp)
	}
	return text.String()
}

func (c *Checks) getReady(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if reasons := c.NotReady(); reasons != "" {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(reasons)) // fails only if the prober has gone
		return
	}
	_, _ = fmt.Fprintln(w, "ready")
}
