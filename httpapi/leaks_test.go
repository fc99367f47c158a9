package httpapi

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"statuscache/cache"
	"statuscache/cache/apikeys"
	"statuscache/cache/cachetest"
)

// TestNothingLeaksBetweenTwoOwners asks every question about many executions as one owner,
// and looks for anything of the other: names, errors, messages, figures. The control is an
// operator, who gets it all.
func TestNothingLeaksBetweenTwoOwners(t *testing.T) {
	t.Parallel()
	s := newService(t)
	var all []cache.Execution
	for i := range 3 {
		for _, owner := range []string{"ada", "eve"} {
			name := func(kind string) string { return fmt.Sprintf("%s-%s-%d", kind, owner, i) }
			bad := failed(t, name("bad"), owner, "secret of "+owner)
			bad.Error = "Error." + owner
			all = append(all, running(t, name("runs"), owner), succeeded(t, name("good"), owner, `{"metadata":{"of":"`+owner+`"}}`), bad)
		}
	}
	other := running(t, "x", "eve") // of a state machine of its own
	other.ARN = cache.ARN(strings.Replace(string(other.ARN), ":Pipeline:", ":Evening:", 1))
	s.apply(append(all, other)...)
	tokens := map[string]string{"ada": s.key("ada"), "operator": s.key("ops", scope(apikeys.ScopeReadAll))}
	evening := url.QueryEscape("arn:aws:states:eu-west-1:123456789012:stateMachine:Evening")
	for target, figure := range map[string]string{ // what an operator gets, and ada must not
		"/v1/executions": `"name":"bad-eve-0"`,
		"/v1/executions?stateMachineArn=" + evening: "Evening",
		"/v1/failures":           "secret of eve",
		"/v1/failures?window=1h": "Error.eve",
		"/v1/durations":          `"count":6`,
		"/v1/overview":           `"RUNNING":7`,
		"/v1/executions/" + machine + "good-eve-1/trail": "applied",
		statusPath + machine + "good-eve-1?view=full":    "SUCCEEDED",
	} {
		cachetest.Eventually(t, "an operator gets "+figure, func() bool {
			return strings.Contains(s.ask("GET", target, tokens["operator"]).body, figure)
		})
		got := s.ask("GET", target, tokens["ada"])
		if strings.Contains(got.body, figure) || strings.Contains(got.body, "eve\"") || strings.Contains(got.body, "-eve-") || strings.Contains(got.body, "Evening") {
			t.Errorf("%s: %s", target, got.body)
		}
		if target == "/v1/executions" && !strings.Contains(got.body, `"counts":{"RUNNING":3,"SUCCEEDED":3,"FAILED":3}`) {
			t.Errorf("%s counts what is not hers: %s", target, got.body)
		}
		if got := s.ask("GET", target, s.linkTo("good-ada-0", tokens["ada"]).Token); got.status != 403 {
			t.Errorf("%s with a link: %d %s", target, got.status, got.body)
		}
	}
}

// TestNoRouteOfAnExecutionServesAnotherOwner: no route that names an execution, in the path or
// in the body, serves another owner, with any method, view or form of the answer.
func TestNoRouteOfAnExecutionServesAnotherOwner(t *testing.T) {
	t.Parallel()
	s := newService(t)
	mine, theirs := succeeded(t, "of-ada", "ada", `{"secret":"of ada"}`), succeeded(t, "of-eve", "eve", `{"secret":"of eve"}`)
	s.apply(mine, theirs)
	ada, eve := s.key("ada"), s.key("eve")
	refused := func(what string, got answer) {
		t.Helper()
		if got.status < 400 || strings.Contains(got.body, "secret") || strings.Contains(got.body, "SUCCEEDED") || strings.Contains(got.body, "typicalSeconds") {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
		for _, name := range []string{"Etag", "Last-Modified", "Retry-After"} { // each depends on the state of the execution
			if hint := got.header.Get(name); hint != "" {
				t.Errorf("%s: %s: %s", what, name, hint)
			}
		}
	}
	for path, rt := range New(Options{}).routeTable() {
		if !strings.Contains(path, "{executionArn}") {
			continue
		}
		target := strings.Replace(path, "{executionArn}", string(theirs.ARN), 1)
		for _, method := range rt.methods {
			for _, query := range []string{"", "?view=full", "?view=status", "?wait=0", "?link=" + s.linkTo("of-ada", ada).Token} {
				what := fmt.Sprint(method, " ", path, query)
				refused(what, s.ask(method, target+query, ada))
				refused(what+" as a stream", s.ask(method, target+query, ada, header("Accept", "text/event-stream")))
				refused(what+" with a tag", s.ask(method, target+query, ada, header("If-None-Match", s.ask("GET", statusPath+string(theirs.ARN), eve).header.Get("ETag"))))
			}
		}
	}
	both := `{"executionArns":["` + string(mine.ARN) + `","` + string(theirs.ARN) + `"]}`
	for _, target := range []string{"/v1/status", "/v1/status?view=full", "/v1/wait?wait=0", "/v1/wait?wait=0&view=full"} {
		if got := s.ask("POST", target, ada, jsonBody(both)); strings.Contains(got.body, "of eve") || got.status == 200 && !strings.Contains(got.body, "Forbidden") {
			t.Errorf("POST %s: %d %s", target, got.status, got.body)
		}
	}
}

// TestNoStreamLeaks: no stream about many executions has a change of another owner's
// executions.
func TestNoStreamLeaks(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.apply(running(t, "of-ada-1", "ada"), failed(t, "of-eve-1", "eve", "secret of eve"))
	ada := s.key("ada")
	overview, feed := s.open(asIs, "/v1/overview", ada), s.open(asIs, "/v1/executions", ada)
	s.apply(failed(t, "of-eve-2", "eve", "secret of eve"), running(t, "of-eve-3", "eve"))
	s.apply(running(t, "of-ada-2", "ada"))
	for what, until := range map[*streamed]string{overview: `"counts":{"RUNNING":2,"SUCCEEDED":0,"FAILED":0}`, feed: "of-ada-2"} {
		for event := ""; !strings.Contains(event, until); {
			if event = what.next(); event == "" || strings.Contains(event, "of-eve") || strings.Contains(event, "secret") {
				t.Fatalf("%q before %s", event, until)
			}
		}
	}
}

var instant = regexp.MustCompile(`"20\d\d-[^"]*Z"`)

// TestWhatOthersHaveLooksLikeWhatNobodyHas: an owner who asks for something that only another
// owner has gets the same answer as for something that does not exist, except for its times.
func TestWhatOthersHaveLooksLikeWhatNobodyHas(t *testing.T) {
	t.Parallel()
	s := newService(t)
	theirs := failed(t, "of-eve", "eve", "secret of eve")
	theirs.ARN = cache.ARN(strings.Replace(string(theirs.ARN), ":Pipeline:", ":Evening:", 1))
	theirs.Error, theirs.Labels = "Error.eve", cache.Labels{"customer": "evil"}
	s.apply(theirs, running(t, "of-ada", "ada"), failed(t, "fails-ada", "ada", "x"))
	ada, operator := s.key("ada"), s.key("ops", scope(apikeys.ScopeReadAll))
	evening := "arn:aws:states:eu-west-1:123456789012:stateMachine:Evening"
	for route, values := range map[string][2]string{
		"/v1/executions?limit=1&q=":               {string(theirs.ARN), strings.Replace(string(theirs.ARN), "of-eve", "of-nil", 1)},
		"/v1/executions?limit=2&q=":               {"of-eve", "of-nil"},
		"/v1/executions?limit=3&q=":               {"evil", "none"},
		"/v1/executions?limit=1&name=":            {"of-eve", "of-nil"},
		"/v1/executions?limit=1&error=":           {"Error.eve", "Error.nil"},
		"/v1/executions?limit=1&label=":           {"customer:evil", "customer:none"},
		"/v1/executions?limit=1&stateMachineArn=": {evening, strings.Replace(evening, "Evening", "Nothing", 1)},
		"/v1/failures?window=1h&stateMachineArn=": {evening, strings.Replace(evening, "Evening", "Nothing", 1)},
		"/v1/failures?window=7d&stateMachineArn=": {evening, strings.Replace(evening, "Evening", "Nothing", 1)},
		"/v1/durations?stateMachineArn=":          {evening, strings.Replace(evening, "Evening", "Nothing", 1)},
	} {
		ask := func(value, token string) string {
			got := s.ask("GET", route+url.QueryEscape(value), token)
			return fmt.Sprint(got.status, instant.ReplaceAllString(got.body, "…"))
		}
		if !strings.HasPrefix(route, "/v1/durations") { // nothing of hers has succeeded
			cachetest.Eventually(t, route+": an operator gets it", func() bool { return ask(values[0], operator) != ask(values[1], operator) })
		}
		if hers, none := ask(values[0], ada), ask(values[1], ada); hers != none {
			t.Errorf("%s\n%s: %s\n%s: %s", route, values[0], hers, values[1], none)
		}
	}
}
