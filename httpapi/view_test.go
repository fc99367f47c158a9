package httpapi

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"statuscache/cache"
)

// failure is the end of an execution that failed.
func failure(t testing.TB, name, owner, errorName, message string) cache.Execution {
	e := succeeded(t, name, owner, "")
	e.Status, e.Output, e.Error, e.ErrorMessage = cache.Failed, nil, errorName, message
	return e
}

// dataOf is the data object of an answer.
func dataOf(a answer) string {
	return strings.TrimSuffix(strings.TrimPrefix(a.body, `{"success":true,"data":`), `}`)
}

func TestTheStatusViewLeavesOutTheResult(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.key("ada")
	tricky := `{"a":",\"output\":","errorMessage":1,"output":2,"s":"` + strings.Repeat("x", 5000) + `"}`
	done, failed, runs := succeeded(t, "done", "ada", tricky), failure(t, "failed", "ada", "Boom", `no,"errorMessage":"x`), running(t, "runs", "ada")
	gaveUp := succeeded(t, "gaveup", "ada", "")
	gaveUp.Completeness = cache.OutputGivenUp
	s.apply(done, failed, runs, gaveUp)
	date := func(d time.Time) string { return d.UTC().Format(time.RFC3339) }
	ended := func(e cache.Execution, word string) string {
		return `{"status":"` + word + `","executionArn":"` + string(e.ARN) + `","startDate":"` + date(e.StartDate) + `","stopDate":"` + date(e.StopDate) + `"}`
	}
	var arns, all []string
	for name, test := range map[string]struct {
		e    cache.Execution
		want string
	}{
		"SUCCEEDED":      {done, ended(done, "SUCCEEDED")},
		"without output": {gaveUp, ended(gaveUp, "SUCCEEDED")},
		"FAILED":         {failed, ended(failed, "FAILED")},
		"RUNNING":        {runs, `{"status":"RUNNING","executionArn":"` + string(runs.ARN) + `","startDate":"` + date(runs.StartDate) + `"}`},
	} {
		target := statusPath + string(test.e.ARN)
		got, plain, full := s.ask("GET", target+"?view=status", ada, header("Accept-Encoding", "gzip")), s.ask("GET", target, ada), s.ask("GET", target+"?view=full", ada)
		tag := got.header.Get("ETag")
		if got.status != 200 || dataOf(got) != test.want || got.header.Get("Content-Encoding") != "" {
			t.Errorf("%s: %+v\nwant %s", name, got, test.want)
		}
		if tag == plain.header.Get("ETag") || tag == full.header.Get("ETag") || !strings.HasSuffix(tag, `-status"`) {
			t.Errorf("%s: the ETag %s is not its own", name, tag)
		}
		for _, again := range []string{tag, strings.TrimSuffix(tag, `"`) + `-gzip"`, "W/" + tag} {
			if not := s.ask("GET", target+"?view=status&wait=0", ada, header("If-None-Match", again)); not.status != 304 {
				t.Errorf("%s: %s: %d", name, again, not.status)
			}
		}
		for _, other := range []string{plain.header.Get("ETag"), full.header.Get("ETag")} {
			if not := s.ask("GET", target+"?view=status", ada, header("If-None-Match", other)); not.status != 200 {
				t.Errorf("%s: the ETag of another view: %d", name, not.status)
			}
		}
		if plain := s.ask("GET", target, ada, header("If-None-Match", tag)); plain.status != 200 {
			t.Errorf("%s: the plain view took the ETag of this one", name)
		}
		arns, all = append(arns, string(test.e.ARN)), append(all, test.want)
	}
	want := `"results":[` + strings.Join(all, ",") + `]}`
	for _, target := range []string{"/v1/status?view=status", "/v1/wait?view=status"} {
		if got := s.ask("POST", target, ada, jsonBody(arnsBody("", arns...))); got.status != 200 || !strings.HasSuffix(dataOf(got), want) {
			t.Errorf("%s: %+v\nwant %s", target, got, want)
		}
	}
}

// TestViewsOfManyAreThoseOfOne asks for each view alone and together with others.
func TestViewsOfManyAreThoseOfOne(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.key("ada")
	done := succeeded(t, "done", "ada", `{"n":1}`)
	s.apply(done)
	tags := map[string]string{}
	for _, query := range []string{"", "?view=full", "?view=status"} {
		one := dataOf(s.ask("GET", statusPath+string(done.ARN)+query, ada))
		body := jsonBody(arnsBody("", string(done.ARN), string(done.ARN)))
		if got := s.ask("POST", "/v1/status"+query, ada, body); dataOf(got) != `{"results":[`+one+`,`+one+`]}` {
			t.Errorf("batch%s: %s", query, got.body)
		}
		got := s.ask("POST", "/v1/wait"+query, ada, body)
		if dataOf(got) != `{"done":true,"results":[`+one+`,`+one+`]}` {
			t.Errorf("set%s: %s", query, got.body)
		}
		tag := got.header.Get("ETag")
		if other, shared := tags[tag]; shared {
			t.Errorf("set%s has the ETag of set%s", query, other)
		}
		tags[tag] = query
		if not := s.ask("POST", "/v1/wait"+query, ada, body, header("If-None-Match", tag)); not.status != http.StatusNotModified {
			t.Errorf("set%s: %d for its own ETag", query, not.status)
		}
		stream := s.ask("GET", statusPath+string(done.ARN)+query, ada, header("Accept", "text/event-stream"))
		if !strings.Contains(stream.body, "data: "+one+"\n") {
			t.Errorf("stream%s: %s", query, stream.body)
		}
	}
}

func TestAWaitInTheStatusViewEndsWithTheExecution(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.key("ada")
	runs := running(t, "runs", "ada")
	s.apply(runs)
	target := statusPath + string(runs.ARN) + "?view=status"
	tag := s.ask("GET", target, ada).header.Get("ETag")
	waits := s.later("GET", target+"&wait=3600", ada, header("If-None-Match", tag))
	set := s.later("POST", "/v1/wait?view=status&wait=3600", ada, jsonBody(arnsBody("", string(runs.ARN))))
	s.untilWaiting(2)
	s.apply(finished(runs, `{"n":1}`))
	if got := <-waits; got.status != 200 || !strings.Contains(got.body, `"SUCCEEDED"`) || strings.Contains(got.body, "output") {
		t.Errorf("%+v", got)
	}
	if got := <-set; got.status != 200 || !strings.Contains(got.body, `"done":true`) || strings.Contains(got.body, "output") {
		t.Errorf("%+v", got)
	}
}

func TestAWrongViewIsRefusedEverywhere(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.key("ada")
	runs := running(t, "runs", "ada")
	s.apply(runs)
	body := jsonBody(arnsBody("", string(runs.ARN)))
	for _, query := range []string{"view=", "view=FULL", "view=status&view=status", "view=status&view=full", "view=plain", "view=%00", "view=" + strings.Repeat("x", 4000)} {
		for _, got := range []answer{
			s.ask("GET", statusPath+string(runs.ARN)+"?"+query, ada),
			s.ask("GET", statusPath+string(runs.ARN)+"?"+query, ada, header("Accept", "text/event-stream")),
			s.ask("POST", "/v1/status?"+query, ada, body),
			s.ask("POST", "/v1/wait?"+query, ada, body),
		} {
			if got.status != 400 || !strings.Contains(got.body, `"message":"view: `) {
				t.Errorf("%.40s: %+v", query, got)
			}
		}
	}
}
