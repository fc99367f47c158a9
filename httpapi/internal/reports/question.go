package reports

import (
	"fmt"
	"maps"
	"net/url"
	"slices"

	"statuscache/cache"
	"statuscache/cache/stats"
	"statuscache/httpapi/internal/envelope"
)

// Question is a request for a report about many executions.
type Question struct {
	Scope        stats.Scope
	Window       string // a name in Windows; the default if the request has none
	StateMachine string // ARN; empty: all
}

// Key contains everything that the answer of a route depends on.
func (q *Question) Key(route string) string {
	return fmt.Sprintf("%s %t %q %s %s", route, q.Scope.All, q.Scope.Owner, q.Window, q.StateMachine)
}

// ReadQuestion reads the query of a request. It may have only the named parameters, each
// once. The error names the parameter. All operators have the same scope and share reports.
func ReadQuestion(values url.Values, scope stats.Scope, parameters ...string) (q Question, err error) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch {
		case !slices.Contains(parameters, name):
			return q, envelope.Unknown(name, parameters...)
		case len(values[name]) > 1:
			return q, envelope.Invalid("%s: given more than once", name)
		}
	}
	if q = (Question{Scope: scope, Window: DefaultWindow}); scope.All {
		q.Scope.Owner = ""
	}
	if values.Has("window") {
		q.Window = values.Get("window")
	}
	if values.Has("stateMachineArn") {
		q.StateMachine = values.Get("stateMachineArn")
		if _, err := cache.ParseMachineARN(q.StateMachine); err != nil {
			return q, envelope.Invalid("stateMachineArn: not the ARN of a state machine")
		}
	}
	return q, nil
}
