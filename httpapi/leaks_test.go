package httpapi

import (
	"fmt"
	"net/url"
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
		if got := s.ask("GET", target, s.linkTo("good-ada-0", tokens["ada"]).Token); got.status != 403 {
			t.Errorf("%s with a link: %d %s", target, got.status, got.body)
		}
	}
}
