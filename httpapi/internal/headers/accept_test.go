package headers

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestAStreamNeedsAPreferenceOverJSON compares the choice with RFC 9110 §12.5.1.
func TestAStreamNeedsAPreferenceOverJSON(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		accept []string
		stream bool
	}{
		{nil, false},
		{[]string{""}, false},
		{[]string{"text/event-stream"}, true},
		{[]string{"TEXT/Event-Stream"}, true},
		{[]string{" text/event-stream "}, true},
		{[]string{"text/event-stream;charset=utf-8"}, true},
		{[]string{"text/event-stream; charset=utf-8; q=0.1"}, true},
		{[]string{"text/event-stream;q=0.001"}, true},
		{[]string{"text/event-stream;q=0"}, false},
		{[]string{"text/event-stream;q=0.000"}, false},
		{[]string{"text/event-stream;Q=0"}, false},
		{[]string{"text/event-stream ; q = 0"}, false},
		{[]string{"application/json"}, false},
		{[]string{"*/*"}, false},
		{[]string{"text/*"}, true},
		{[]string{"text/*;q=0.5, application/*"}, false},
		{[]string{"TEXT/*, application/*;q=0.5"}, true},
		{[]string{"application/*"}, false},
		{[]string{"text/*, application/*"}, false},
		{[]string{"application/json, text/event-stream"}, false},
		{[]string{"text/event-stream, application/json"}, false},
		{[]string{"text/event-stream", "application/json"}, false},
		{[]string{"application/json;q=0.5", "text/event-stream"}, true},
		{[]string{"application/json;q=1, text/event-stream;q=0.5"}, false},
		{[]string{"application/json;q=0.5, text/event-stream;q=1"}, true},
		{[]string{"application/json;q=0, text/event-stream;q=0.1"}, true},
		{[]string{"application/json;q=0.9, */*"}, true},
		{[]string{"text/event-stream, */*;q=0.1"}, true},
		{[]string{"text/event-stream;q=0.1, */*"}, false},
		{[]string{"text/event-stream;q=0, */*;q=0.5"}, false},
		{[]string{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}, false},
		{[]string{"text/html"}, false},
		{[]string{"image/png;q=1, audio/*"}, false},
		{[]string{"text/event-stream;q=abc"}, false},
		{[]string{"text/event-stream;q="}, false},
		{[]string{"text/event-stream;q=-1"}, false},
		{[]string{"text/event-stream;q=1e0"}, false},
		{[]string{"text/event-stream;q=NaN"}, false},
		{[]string{"application/json, text/event-stream;q=5"}, false},
		{[]string{"application/json;q=x, text/event-stream"}, false},
		{[]string{`application/json;profile="a,text/event-stream;q=1";q=0.9, text/event-stream;q=0.8`}, false},
		{[]string{`application/json;p="\",";q=0.1, text/event-stream;q=0.8`}, true},
		{[]string{`text/event-stream;p="unclosed, application/json`}, true},
		{[]string{"text/event-streams, text/event, event-stream, /, *"}, false},
		{[]string{",,;,;q=1, ,"}, false},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Accept"] = test.accept
		if got := WantsStream(r); got != test.stream {
			t.Errorf("Accept: %q: a stream: %v", test.accept, got)
		}
		if r.Method = http.MethodHead; WantsStream(r) {
			t.Errorf("Accept: %q: a stream for HEAD", test.accept)
		}
	}
}

func FuzzAccept(f *testing.F) {
	for _, seed := range []string{"text/event-stream", `a/b;c="d,e\"";q=0.5, */*;q=0`, ";;,,\"\\", "text/*;q=1."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, accept string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Accept"] = []string{accept}
		one := WantsStream(r)
		if r.Header["Accept"] = []string{accept, "application/json"}; WantsStream(r) {
			t.Errorf("a stream, although nothing is preferred to JSON: %q", accept)
		}
		if r.Header["Accept"] = []string{accept, "text/event-stream;q=1, application/json;q=0"}; one && !WantsStream(r) {
			t.Errorf("no stream, although it is preferred more than before: %q", accept)
		}
	})
}
