package httpapi

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"statuscache/cache"
	"statuscache/cache/apikeys"
)

// arnsBody is the body of a request about many.
func arnsBody(more string, arns ...string) string {
	text, err := json.Marshal(arns)
	if err != nil {
		return err.Error()
	}
	return `{"executionArns":` + string(text) + more + `}`
}

func TestBatch(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.key("ada")
	mine, foreign := succeeded(t, "mine", "ada", `{"n":9007199254740993}`), succeeded(t, "foreign", "eve", "1")
	s.apply(mine, foreign)
	got := s.ask("POST", "/v1/status", ada, jsonBody(arnsBody("", string(mine.ARN), "x", string(foreign.ARN), machine+"unknown", string(mine.ARN))))
	one := s.ask("GET", statusPath+string(mine.ARN), ada).body
	data := strings.TrimSuffix(strings.TrimPrefix(one, `{"success":true,"data":`), `}`)
	want := `{"success":true,"data":{"results":[` + data + `,{"executionArn":"x","error":{"code":"ValidationError",`
	if got.status != 200 || !strings.HasPrefix(got.body, want) || !strings.HasSuffix(got.body, data+`]}}`) {
		t.Errorf("%+v\nwant %s…", got, want)
	}
	for _, has := range []string{`"` + string(foreign.ARN) + `","error":{"code":"Forbidden"`, machine + `unknown","error":{"code":"NotFound"`} {
		if !strings.Contains(got.body, has) {
			t.Errorf("%s is missing in %s", has, got.body)
		}
	}
	many := make([]string, 101)
	for i := range many {
		many[i] = string(mine.ARN)
	}
	for name, test := range map[string]struct {
		body string
		want int
	}{
		"a hundred":  {arnsBody("", many[:100]...), 200},
		"too many":   {arnsBody("", many...), 400},
		"none":       {`{"executionArns":[]}`, 400},
		"missing":    {`{}`, 400},
		"no strings": {`{"executionArns":[1]}`, 400},
		"no list":    {`{"executionArns":"x"}`, 400},
		"another":    {arnsBody(`,"wait":1`, many[0]), 400},
		"too large":  {arnsBody("", strings.Repeat("x", maxBatchBody)), 413},
	} {
		if got := s.ask("POST", "/v1/status", ada, jsonBody(test.body)); got.status != test.want {
			t.Errorf("%s: %d %.200s", name, got.status, got.body)
		}
	}
	if got := s.ask("POST", "/v1/status", s.key("gen", scope(apikeys.ScopeRegister)), jsonBody(arnsBody("", many[0]))); !strings.Contains(got.body, "Forbidden") {
		t.Errorf("a register key: %s", got.body)
	}
}

// TestABatchIsBounded asks for more than fits into one answer.
func TestABatchIsBounded(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.key("ada")
	var arns []string
	large := `"` + strings.Repeat("x", 900_000) + `"`
	for i := range 12 {
		e := succeeded(t, fmt.Sprint("large", i), "ada", large)
		s.apply(e)
		arns = append(arns, string(e.ARN))
	}
	got := s.ask("POST", "/v1/status", ada, jsonBody(arnsBody("", arns...)))
	if got.status != 200 || len(got.body) > maxManyAnswer+100_000 || strings.Count(got.body, `"SUCCEEDED"`) != 9 || strings.Count(got.body, `"PayloadTooLarge"`) != 3 {
		t.Errorf("%d with %d bytes: %d and %d", got.status, len(got.body), strings.Count(got.body, `"SUCCEEDED"`), strings.Count(got.body, `"PayloadTooLarge"`))
	}
}

func TestWaitForASet(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.key("ada")
	arns := make([]string, 5)
	runs := make([]cache.Execution, len(arns))
	for i := range arns {
		runs[i] = running(t, fmt.Sprint("set", i), "ada")
		arns[i] = string(runs[i].ARN)
	}
	s.apply(runs[:4]...) // of the last nothing is known yet
	ask := func(until string, change ...string) <-chan answer {
		body := jsonBody(arnsBody(`,"for":"`+until+`"`, arns...))
		if len(change) > 0 {
			return s.later("POST", "/v1/wait?wait=3600", ada, body, header("If-None-Match", change[0]))
		}
		return s.later("POST", "/v1/wait?wait=3600", ada, body)
	}
	now := s.ask("POST", "/v1/wait", ada, jsonBody(arnsBody("", arns...)))
	if now.status != 200 || !strings.HasPrefix(now.body, `{"success":true,"data":{"done":false,"results":[{"status":"RUNNING"`) {
		t.Fatalf("%+v", now)
	}
	all, anyOf, failure := ask("all"), ask("any"), ask("firstFailure")
	s.untilWaiting(3)
	s.apply(finished(runs[0], "1"))
	if got := <-anyOf; got.status != 200 || !strings.Contains(got.body, `"done":true`) || strings.Count(got.body, "RUNNING") != 3 {
		t.Errorf("any: %+v", got)
	}
	changes := ask("all", now.header.Get("ETag"))
	if got := <-changes; got.status != 200 || !strings.Contains(got.body, `"done":false`) || got.header.Get("ETag") == now.header.Get("ETag") {
		t.Errorf("a change: %+v", got)
	}
	s.untilWaiting(2)
	broken := runs[1]
	broken.Status, broken.StopDate, broken.ErrorMessage = cache.Failed, broken.StartDate.Add(time.Second), "Boom: no"
	s.apply(broken)
	if got := <-failure; got.status != 200 || !strings.Contains(got.body, `"done":true`) || !strings.Contains(got.body, "Boom: no") {
		t.Errorf("firstFailure: %+v", got)
	}
	s.untilWaiting(1)
	for _, e := range runs[2:] {
		s.apply(finished(e, "1"))
	}
	got := <-all
	if got.status != 200 || !strings.Contains(got.body, `"done":true`) || strings.Count(got.body, "SUCCEEDED") != 4 {
		t.Errorf("all: %+v", got)
	}
	tag := got.header.Get("ETag")
	if again := <-ask("all", tag); again.status != 304 || again.header.Get("ETag") != tag {
		t.Errorf("what is known: %+v", again)
	}
	for name, test := range map[string]struct {
		arns  []string
		until string
		done  bool
	}{
		"a malformed ARN counts as settled": {[]string{"x", arns[0]}, "all", true},
		"and has failed":                    {[]string{"x", machine + "unknown"}, "firstFailure", true},
		"what is unknown is not":            {[]string{machine + "unknown"}, "any", false},
	} {
		got := s.ask("POST", "/v1/wait", ada, jsonBody(arnsBody(`,"for":"`+test.until+`"`, test.arns...)))
		if got.status != 200 || strings.Contains(got.body, `"done":true`) != test.done {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for name, body := range map[string]string{"for": arnsBody(`,"for":"most"`, arns...), "none": `{"executionArns":[]}`, "many": arnsBody("", make([]string, 1001)...)} {
		if got := s.ask("POST", "/v1/wait?wait=3600", ada, jsonBody(body)); got.status != 400 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

type listAnswer struct {
	Data struct {
		Executions []struct{ Status, Name string }
		NextCursor *string
		Counts     struct{ RUNNING, SUCCEEDED, FAILED int }
	}
}

func TestListing(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada, eve, operator := s.key("ada"), s.key("eve"), s.key("ops", scope(apikeys.ScopeReadAll))
	for i := range 30 {
		e := succeeded(t, fmt.Sprintf("e%02d", i), "ada", `{"metadata":{"i":1}}`)
		if e.StartDate = e.StartDate.Add(time.Duration(i) * time.Second); i%3 == 0 {
			e.Status, e.StopDate, e.Output = cache.Running, time.Time{}, nil
		}
		s.apply(e)
	}
	s.apply(succeeded(t, "hers", "eve", "1"))
	list := func(query, token string) listAnswer {
		t.Helper()
		got := s.ask("GET", "/v1/executions"+query, token)
		var l listAnswer
		if err := json.Unmarshal([]byte(got.body), &l); err != nil || got.status != 200 {
			t.Fatalf("%s: %v %+v", query, err, got)
		}
		return l
	}
	first := list("?limit=20", ada)
	if len(first.Data.Executions) != 20 || first.Data.Executions[0].Name != "e29" || first.Data.NextCursor == nil ||
		first.Data.Counts.RUNNING != 10 || first.Data.Counts.SUCCEEDED != 20 || first.Data.Counts.FAILED != 0 {
		t.Errorf("%+v", first)
	}
	second := list("?limit=20&cursor="+*first.Data.NextCursor, ada)
	if len(second.Data.Executions) != 10 || second.Data.Executions[0].Name != "e09" || second.Data.NextCursor != nil {
		t.Errorf("%+v", second)
	}
	filtered := list("?status=RUNNING&stateMachineArn=arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline", ada)
	if len(filtered.Data.Executions) != 10 || filtered.Data.Counts.SUCCEEDED != 20 {
		t.Errorf("%+v", filtered)
	}
	if all := list("", operator); len(all.Data.Executions) != 31 || all.Data.Counts.RUNNING != 10 {
		t.Errorf("%+v", all)
	}
	if hers := list("?owner=eve", operator); len(hers.Data.Executions) != 1 {
		t.Errorf("%+v", hers)
	}
	cursor := *first.Data.NextCursor
	for _, test := range []struct {
		query, token string
		want         int
	}{
		{"?cursor=" + cursor, eve, 400}, {"?status=RUNNING&cursor=" + cursor, ada, 400}, {"?cursor=x", ada, 400}, {"?cursor=" + cursor[:20], ada, 400},
		{"?cursor=" + cursor, operator, 400}, {"?limit=0", ada, 400}, {"?limit=101", ada, 400}, {"?limit=x", ada, 400}, {"?status=ABORTED", ada, 400},
		{"?stateMachineArn=x", ada, 400}, {"?owner=eve", ada, 403}, {"?owner=ada", ada, 200}, {"?limit=1&limit=2", ada, 400}, {"?%zz", ada, 400},
		{"", s.key("gen", scope(apikeys.ScopeRegister)), 403}, {"", "", 401},
	} {
		if got := s.ask("GET", "/v1/executions"+test.query, test.token); got.status != test.want {
			t.Errorf("%s: %d %s", test.query, got.status, got.body)
		}
	}
}

// TestALiveFeed sends the caller's newest executions, then each of their changes, and nothing
// of other owners.
func TestALiveFeed(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada, operator := s.key("ada"), s.key("ops", scope(apikeys.ScopeReadAll))
	for i := range 5 {
		e := running(t, fmt.Sprint("e", i), "ada")
		e.StartDate = e.StartDate.Add(time.Duration(i-10) * time.Second)
		s.apply(e)
	}
	feed, runs, all := s.open(asIs, "/v1/executions?limit=2", ada), s.open(asIs, "/v1/executions?status=RUNNING", ada), s.open(asIs, "/v1/executions", operator)
	for _, want := range []string{`"name":"e3"`, `"name":"e4"`, "event: live\ndata: {}"} {
		if got := feed.next(); !strings.Contains(got, want) || strings.HasPrefix(got, "id:") {
			t.Errorf("%s, want %s", got, want)
		}
	}
	for _, stream := range []*streamed{runs, all} {
		for range 5 {
			stream.next()
		}
		if got := stream.next(); got != "event: live\ndata: {}" {
			t.Error(got)
		}
	}
	s.apply(running(t, "hers", "eve"))
	e0 := running(t, "e0", "ada")
	e0.StartDate = e0.StartDate.Add(time.Second)
	s.apply(finished(e0, `{"metadata":{"a":1}}`))
	for name, stream := range map[string]*streamed{"feed": feed, "one that leaves the filter": runs} {
		if got := stream.next(); !strings.HasPrefix(got, `event: status`) || !strings.Contains(got, `"status":"SUCCEEDED"`) || !strings.Contains(got, `"name":"e0","metadata":{"a":1},"executionStatus":"SUCCEEDED"`) {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := all.next() + all.next(); !strings.Contains(got, `"name":"hers"`) || !strings.Contains(got, `"name":"e0"`) {
		t.Errorf("operator: %s", got)
	}
	s.apply(finished(running(t, "new", "ada"), "1"), running(t, "newer", "ada"))
	if got := runs.next(); !strings.Contains(got, `"name":"newer"`) {
		t.Errorf("an execution that never matched the filter is sent: %s", got)
	}
}
