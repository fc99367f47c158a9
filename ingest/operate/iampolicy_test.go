package operate

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

// TestTheOperatorsPolicyIsTheLeast: deploy/iam/operator.json has exactly the actions that the
// operator commands call.
func TestTheOperatorsPolicyIsTheLeast(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../deploy/iam/operator.json")
	must(t, err)
	var policy struct {
		Statement []struct{ Action jsontext.Value }
	}
	must(t, json.Unmarshal(text, &policy))
	granted := map[string]bool{}
	for _, s := range policy.Statement {
		for _, action := range texts(s.Action) {
			granted[action] = true
		}
	}
	called := map[string]bool{"sqs:ChangeMessageVisibility": true} // of SQS, for making messages visible again
	for _, call := range awsCalls(t) {
		called[call] = true
	}
	if len(called) < 25 {
		t.Errorf("only %d calls were found: %v", len(called), slices.Sorted(maps.Keys(called)))
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(called)), slices.Sorted(maps.Keys(granted))); diff != "" {
		t.Errorf("(-called +granted):\n%s", diff)
	}
}

// awsCalls finds the calls of the operator's clients, and those of a backfill, in the
// source.
func awsCalls(t *testing.T) (calls []string) {
	t.Helper()
	services := map[string]string{"queues": "sqs", "events": "events", "states": "states"}
	entries, err := os.ReadDir(".")
	must(t, err)
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), e.Name(), nil, 0)
		must(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			call, is := n.(*ast.CallExpr)
			if !is || len(call.Args) < 2 {
				return true
			}
			method, is := call.Fun.(*ast.SelectorExpr)
			if !is {
				return true
			}
			client, is := method.X.(*ast.SelectorExpr)
			if is && services[client.Sel.Name] != "" && ast.IsExported(method.Sel.Name) {
				calls = append(calls, services[client.Sel.Name]+":"+method.Sel.Name)
			}
			return true
		})
	}
	return append(calls, "states:ListExecutions", "states:DescribeExecution") // of a backfill
}
