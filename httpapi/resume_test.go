package httpapi

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"statuscache/cache/apikeys"
)

// TestAStreamResumesByItsQuery: polyfills of EventSource that cannot set headers put the last
// id into the query.
func TestAStreamResumesByItsQuery(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.key("ada")
	e, runs := running(t, "ended", "ada"), running(t, "runs", "ada")
	ended := finished(e, "1")
	s.apply(e, ended, runs)
	target, stream := statusPath+string(e.ARN), header("Accept", "text/event-stream")
	id := string(ended.Version())
	for name, test := range map[string]struct {
		query string
		want  int
	}{
		"the end":                  {"?lastEventId=" + id, 204},
		"beside others":            {"?view=full&lastEventId=" + url.QueryEscape(id) + "&r=0.5", 204},
		"one before":               {"?lastEventId=" + string(e.Version()), 200},
		"as AmvTek's polyfill":     {"?evs_preamble&evs_last_event_id=" + id, 204},
		"as Mercure":               {"?Last-Event-ID=" + id, 204},
		"in other letters":         {"?lasteventid=" + id, 204},
		"with underscores":         {"?last_event_id=" + id, 204},
		"another name":             {"?eventId=" + id, 200},
		"malformed":                {"?lastEventId=" + id + "x", 200},
		"empty":                    {"?lastEventId=", 200},
		"twice, the newest counts": {"?lastEventId=" + string(e.Version()) + "&lastEventId=" + id, 204},
	} {
		if got := s.ask("GET", target+test.query, ada, stream); got.status != test.want {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	if got := s.ask("GET", target+"?lastEventId="+string(e.Version()), ada, stream, header("Last-Event-ID", id)); got.status != 204 {
		t.Errorf("the header is newer: %d", got.status)
	}
	if got := s.ask("GET", target+"?lastEventId="+id, ada); got.status != 200 {
		t.Errorf("the id must not affect JSON: %d", got.status)
	}
	resumed := s.open(asIs, statusPath+string(runs.ARN)+"?lastEventId="+string(runs.Version()), ada)
	s.untilWaiting(1)
	done := finished(runs, "1")
	s.apply(done)
	if got := resumed.next(); !strings.HasPrefix(got, "id: "+string(done.Version())+"\n") {
		t.Errorf("what was seen is sent again: %s", got)
	}
}

// TestAByteOrderMarkBeforeJSONIsTaken: some clients write one.
func TestAByteOrderMarkBeforeJSONIsTaken(t *testing.T) {
	t.Parallel()
	s := newService(t)
	generate, ada := s.key("generate", scope(apikeys.ScopeRegister)), s.key("ada")
	s.apply(running(t, "known", "ada"))
	const mark = "\ufeff"
	for _, test := range []struct {
		target, token, body string
		want                int
	}{
		{"/v1/executions", generate, mark + `{"executionArn":"` + machine + `new","owner":"ada"}`, 201},
		{"/v1/status", ada, mark + `{"executionArns":["` + machine + `known"]}`, 200},
		{"/v1/wait", ada, mark + " \r\n" + `{"executionArns":["` + machine + `known"]}`, 200},
		{"/v1/status", ada, mark + mark + `{"executionArns":["` + machine + `known"]}`, 400},
		{"/v1/status", ada, ` ` + mark + `{"executionArns":["` + machine + `known"]}`, 400},
		{"/v1/status", ada, mark, 400},
	} {
		if got := s.ask("POST", test.target, test.token, jsonBody(test.body)); got.status != test.want {
			t.Errorf("%s %q: %d %s", test.target, test.body, got.status, got.body)
		}
	}
}

// TestAnswersForbidTransformation: a proxy that compresses a stream delays it, and one that
// compresses JSON changes our tag.
func TestAnswersForbidTransformation(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.key("ada")
	e := running(t, "mine", "ada")
	s.apply(e)
	target, set := statusPath+string(e.ARN), jsonBody(`{"executionArns":["`+string(e.ARN)+`"]}`)
	directives := func(h http.Header) map[string]bool {
		all := map[string]bool{}
		for each := range strings.SplitSeq(h.Get("Cache-Control"), ",") {
			all[strings.TrimSpace(each)] = true
		}
		return all
	}
	status := s.ask("GET", target, ada)
	if d := directives(status.header); !d["private"] || !d["no-cache"] || !d["no-transform"] {
		t.Errorf("status: %v", d)
	}
	for name, got := range map[string]answer{
		"304": s.ask("GET", target, ada, header("If-None-Match", status.header.Get("ETag"))), "404": s.ask("GET", target+"x", ada),
		"401": s.ask("GET", target, ""), "a list": s.ask("GET", "/v1/executions", ada), "a batch": s.ask("POST", "/v1/status", ada, set),
		"a set": s.ask("POST", "/v1/wait", ada, set), "health": s.ask("GET", "/v1/health", ""),
	} {
		if d := directives(got.header); !d["no-transform"] || !d["no-cache"] && !d["no-store"] {
			t.Errorf("%s: %d %v", name, got.status, d)
		}
	}
	for _, target := range []string{target, "/v1/executions"} {
		h := s.open(asIs, target, ada).header
		if d := directives(h); !d["no-cache"] || !d["no-transform"] || h.Get("X-Accel-Buffering") != "no" || h.Get("Content-Type") != "text/event-stream; charset=utf-8" {
			t.Errorf("a stream of %s: %v", target, h)
		}
	}
}
