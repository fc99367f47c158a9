package httpapi

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"statuscache/cache"
	"statuscache/cache/apikeys"
	"statuscache/cache/cachetest"
	"statuscache/cache/worklist"
)

const outputPath = "/v1/executions/" + machine

// expire lets the output of a success expire, as if the output had been stored an hour ago.
func (s *service) expire(e cache.Execution) cache.Execution {
	s.t.Helper()
	e.Completeness, e.OutputFrom = cache.OutputExpired, e.StopDate.Add(-time.Hour)
	s.apply(e)
	return e
}

// fetched is what ingest stores when it has fetched the output of a success again.
func fetched(e cache.Execution) cache.Execution {
	e.Completeness, e.OutputFrom, e.Source = cache.OutputRefetched, time.Now(), cache.FromDescribe
	return e
}

func (s *service) requested() int {
	s.t.Helper()
	n, err := worklist.New(s.cache.DB(), nil).Pending(s.t.Context(), worklist.Requested)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// TestAnExpiredOutputIsReported on every route and in every view, with an entity tag of its
// own. No read causes a fetch.
func TestAnExpiredOutputIsReported(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.key("ada")
	e := succeeded(t, "old", "ada", `{"metadata":{"inputType":"url"}}`)
	s.apply(e)
	status := "/v1/status/" + machine + "old"
	views := []string{"", "?view=full", "?view=status"}
	complete := map[string]answer{}
	for _, view := range views {
		complete[view] = s.ask("GET", status+view, ada)
	}
	s.expire(e)
	cachetest.Eventually(t, "the service knows of it", func() bool {
		return strings.Contains(s.ask("GET", status, ada).body, `,"output":null,"outputExpired":true}}`)
	})
	for _, view := range views {
		got := s.ask("GET", status+view, ada, header("If-None-Match", complete[view].header.Get("Etag")))
		if got.status != http.StatusOK || got.header.Get("Etag") == complete[view].header.Get("Etag") {
			t.Errorf("%q with the entity tag from before: %d %s", view, got.status, got.header.Get("Etag"))
		}
		if hidden := view == "?view=status"; hidden == strings.Contains(got.body, `"outputExpired":true`) {
			t.Errorf("%q: %s", view, got.body)
		}
		if same := s.ask("GET", status+view, ada, header("If-None-Match", got.header.Get("Etag"))); same.status != http.StatusNotModified {
			t.Errorf("%q with its own entity tag: %d", view, same.status)
		}
	}
	set := jsonBody(`{"executionArns":["` + machine + `old"]}`)
	for what, got := range map[string]answer{
		"batch": s.ask("POST", "/v1/status", ada, set), "set": s.ask("POST", "/v1/wait", ada, set),
		"stream": s.ask("GET", status, ada, header("Accept", "text/event-stream")),
	} {
		if got.status != http.StatusOK || !strings.Contains(got.body, `"output":null,"outputExpired":true`) {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
	}
	if got := s.ask("GET", "/v1/executions", ada); !strings.Contains(got.body, `"SUCCEEDED":1`) || strings.Contains(got.body, "metadata") || strings.Contains(got.body, "output") {
		t.Errorf("list: %s", got.body)
	}
	if n := s.requested(); n != 0 {
		t.Errorf("reads have requested %d outputs", n)
	}
}

// TestAnOutputIsFetchedForItsOwner and for operators, for no other caller, and only if it has
// expired.
func TestAnOutputIsFetchedForItsOwner(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada, bob, operator := s.key("ada"), s.key("bob"), s.key("", scope(apikeys.ScopeReadAll))
	complete, old, gone := succeeded(t, "whole", "ada", `{"n":1}`), succeeded(t, "old", "ada", `{"n":2}`), succeeded(t, "gone", "ada", `{}`)
	s.apply(complete, old, gone, running(t, "runs", "ada"))
	fails := succeeded(t, "fails", "ada", "")
	fails.Status, fails.ErrorMessage = cache.Failed, "no"
	s.apply(fails)
	s.expire(old)
	lost := s.expire(gone)
	lost.Completeness = cache.OutputGone
	s.apply(lost)
	link := s.ask("POST", "/v1/links", ada, jsonBody(`{"executionArn":"`+machine+`old"}`)).body
	_, link, _ = strings.Cut(link, `"token":"`)
	link, _, _ = strings.Cut(link, `"`)
	for _, test := range []struct {
		name, token string
		status      int
		body        string
	}{
		{"whole", ada, 200, `"output":{"n":1}}}`}, {"runs", ada, 409, "it has no output yet"}, {"fails", ada, 409, "it has no output"},
		{"gone", ada, 410, `"code":"Gone"`}, {"unknown", ada, 404, "NotFound"}, {"unknown", operator, 404, "NotFound"},
		{"old", bob, 403, "Forbidden"}, {"old", link, 403, "Forbidden"}, {"old", "", 401, "Unauthorized"}, {"whole", bob, 403, "Forbidden"},
		{"old", ada, 202, `"outputExpired":true`}, {"old", operator, 202, `"outputExpired":true`},
	} {
		cachetest.Eventually(t, test.name+" is answered as it should be", func() bool { // once the change has arrived
			got := s.ask("POST", outputPath+test.name+"/output", test.token)
			return got.status == test.status && strings.Contains(got.body, test.body) && (got.status != 202 || got.header.Get("Retry-After") == "2")
		})
	}
	if n := s.requested(); n != 1 {
		t.Errorf("%d outputs are requested, want 1", n)
	}
	if got := s.ask("GET", outputPath+"old/output", ada); got.status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", got.status)
	}
	if got := s.ask("POST", outputPath+"old/output?wait=x", ada); got.status != http.StatusBadRequest {
		t.Errorf("a wait that is none: %d", got.status)
	}
	s.apply(fetched(old))
	cachetest.Eventually(t, "the output is back", func() bool {
		return strings.Contains(s.ask("GET", "/v1/status/"+machine+"old", ada).body, `"output":{"n":2}}}`)
	})
}

// TestARequestForAnOutputWaits until it is there, or gone.
func TestARequestForAnOutputWaits(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.key("ada")
	for name, test := range map[string]struct {
		then   func(cache.Execution) cache.Execution
		status int
		body   string
	}{
		"back": {fetched, 200, `"output":{"n":1}}}`},
		"lost": {func(e cache.Execution) cache.Execution { e.Completeness = cache.OutputGone; return e }, 410, `"code":"Gone"`},
	} {
		e := succeeded(t, name, "ada", `{"n":1}`)
		s.apply(e)
		expired := s.expire(e)
		if name == "back" {
			expired = e
		}
		answers := make(chan answer, 1)
		before := s.requested()
		go func() { answers <- s.ask("POST", outputPath+name+"/output?wait=3600", ada) }()
		cachetest.Eventually(t, "it is requested", func() bool { return s.requested() > before })
		s.apply(test.then(expired))
		if got := <-answers; got.status != test.status || !strings.Contains(got.body, test.body) {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	e := succeeded(t, "nobody", "ada", `{"n":1}`)
	s.apply(e)
	s.expire(e)
	if got := s.ask("POST", outputPath+"nobody/output?wait=1", ada); got.status != http.StatusAccepted {
		t.Errorf("at the end of the wait: %d %s", got.status, got.body)
	}
}

// TestRequestsForOutputsAreRefused if there are too many. The answer says how long to wait.
func TestRequestsForOutputsAreRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		busy   worklist.ErrBusy
		status int
		wait   string
	}{{worklist.ErrBusy{OfCaller: true, Wait: 90 * time.Second}, 429, "90"}, {worklist.ErrBusy{Wait: 30 * time.Second}, 503, "30"}} {
		p, ok := notRequested(&test.busy).(interface{ WriteHeaders(http.Header) })
		h := http.Header{}
		if !ok {
			t.Fatalf("%+v: not an error for callers", test.busy)
		}
		if p.WriteHeaders(h); h.Get("Retry-After") != test.wait {
			t.Errorf("%+v: %v", test.busy, h)
		}
	}
}
