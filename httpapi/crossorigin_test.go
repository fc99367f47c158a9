package httpapi

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

const app = "http://127.0.0.1:3100"

func fromApp(o *Options) { o.Origins = []string{app} }

// varies reports whether Vary names a header, once.
func varies(h http.Header, name string) bool {
	n := 0
	for each := range strings.SplitSeq(strings.Join(h.Values("Vary"), ","), ",") {
		if strings.EqualFold(strings.TrimSpace(each), name) {
			n++
		}
	}
	return n == 1
}

func TestPagesWithTracingMayCall(t *testing.T) {
	t.Parallel()
	s := newService(t, fromApp)
	target := statusPath + machine + "x"
	preflight := func(origin, headers string) http.Header {
		return s.ask("OPTIONS", target, "", header("Origin", origin), header("Access-Control-Request-Method", "GET"),
			header("Access-Control-Request-Headers", headers)).header
	}
	for _, asked := range []string{
		"authorization,traceparent", "authorization,baggage,sentry-trace", "authorization,traceparent,tracestate",
		"authorization,x-instana-l,x-instana-s,x-instana-t", "sw8,sw8-correlation", "x-dtpc,x-dynatrace", "adrum",
		"ot-tracer-sampled,ot-tracer-spanid,ot-tracer-traceid", "x-ot-span-context", "grpc-trace-bin", "b3,x-datadog-sampled",
		"x-posthog-distinct-id,x-posthog-session-id", "x-correlation-id,x-trace-id", "cache-control,pragma",
		"authorization,x-datadog-origin,x-datadog-parent-id,x-datadog-sampling-priority,x-datadog-trace-id",
		"accept,authorization,cache-control,content-type,if-none-match,last-event-id,prefer,x-request-id",
		"Authorization, Traceparent", "traceparent,authorization", "",
	} {
		h := preflight(app, asked)
		if h.Get("Access-Control-Allow-Origin") != app {
			t.Errorf("%q: %v", asked, h)
		}
		allowed := strings.Split(h.Get("Access-Control-Allow-Headers"), ",")
		for each := range strings.SplitSeq(strings.ToLower(strings.ReplaceAll(asked, " ", "")), ",") {
			if !slices.Contains(allowed, each) {
				t.Errorf("%q: %s is not allowed: %v", asked, each, h)
			}
		}
		if !varies(h, "Origin") {
			t.Errorf("%q: Vary: %v", asked, h.Values("Vary"))
		}
	}
	if h := preflight(app, "authorization,x-forwarded-for"); h.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("anything is allowed: %v", h)
	}
	if h := preflight("http://evil.example.com", "traceparent"); h.Get("Access-Control-Allow-Origin") != "" || !varies(h, "Origin") {
		t.Errorf("another origin: %v", h)
	}
}

// TestAnswersVaryByOrigin: a cache must not give a page any answer that it stored for another
// client.
func TestAnswersVaryByOrigin(t *testing.T) {
	t.Parallel()
	s := newService(t, fromApp)
	ada := s.key("ada")
	e, large := running(t, "mine", "ada"), succeeded(t, "large", "ada", `"`+strings.Repeat("x", 5000)+`"`)
	s.apply(e, large)
	target := statusPath + string(e.ARN)
	tag := s.ask("GET", target, ada).header.Get("ETag")
	for name, ask := range map[string]func(...func(*http.Request)) answer{
		"200": func(c ...func(*http.Request)) answer { return s.ask("GET", target, ada, c...) },
		"304": func(c ...func(*http.Request)) answer {
			return s.ask("GET", target, ada, append(c, header("If-None-Match", tag))...)
		},
		"401":          func(c ...func(*http.Request)) answer { return s.ask("GET", target, "", c...) },
		"404":          func(c ...func(*http.Request)) answer { return s.ask("GET", target+"x", ada, c...) },
		"404, no path": func(c ...func(*http.Request)) answer { return s.ask("GET", "/nowhere", "", c...) },
		"405":          func(c ...func(*http.Request)) answer { return s.ask("DELETE", target, ada, c...) },
		"204":          func(c ...func(*http.Request)) answer { return s.ask("OPTIONS", target, "", c...) },
		"a list":       func(c ...func(*http.Request)) answer { return s.ask("GET", "/v1/executions", ada, c...) },
		"a page":       func(c ...func(*http.Request)) answer { return s.ask("GET", "/docs", "", c...) },
		"health":       func(c ...func(*http.Request)) answer { return s.ask("GET", "/v1/health", "", c...) },
		"a long poll":  func(c ...func(*http.Request)) answer { return s.ask("GET", target+"?wait=1", ada, c...) },
		"a stream": func(c ...func(*http.Request)) answer {
			got := s.open(asIs, target, ada, c...)
			defer got.close()
			return answer{got.status, got.header, ""}
		},
		"one that varies more": func(c ...func(*http.Request)) answer {
			got := s.ask("GET", statusPath+string(large.ARN), ada, c...)
			if !varies(got.header, "Accept-Encoding") {
				t.Errorf("Vary: %v", got.header.Values("Vary"))
			}
			return got
		},
	} {
		for origin, change := range map[string][]func(*http.Request){
			"none": nil, "ours": {header("Origin", app)}, "another": {header("Origin", "http://evil.example.com")},
		} {
			if got := ask(change...); !varies(got.header, "Origin") {
				t.Errorf("%s, origin %s: %d, Vary: %q", name, origin, got.status, got.header.Values("Vary"))
			}
		}
	}
	without := newService(t)
	if got := without.ask("GET", "/v1/health", ""); got.header.Get("Vary") != "" {
		t.Errorf("without CORS it varies by nothing: %v", got.header)
	}
}
