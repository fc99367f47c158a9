package event

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"statuscache/cache"
	"statuscache/ingest/internal/awscall"
)

func TestErrorMessage(t *testing.T) {
	t.Parallel()
	deep := `"the heart of it"`
	for range 8 {
		deep = fmt.Sprintf(`{"Error":"States.TaskFailed","Cause":%q}`, deep)
	}
	for name, c := range map[string]struct {
		status            cache.Status
		error, cause, out string
	}{
		"Lambda raised":          {cache.Failed, "TierLimitExceeded", `{"errorMessage":"Monthly rule generation limit reached","errorType":"TierLimitExceeded","requestId":"6b1f","stackTrace":["secret"]}`, "TierLimitExceeded: Monthly rule generation limit reached"},
		"Lambda, empty message":  {cache.Failed, "ValueError", `{"errorMessage":"","errorType":"ValueError"}`, "ValueError"},
		"Lambda timed out":       {cache.Failed, "Lambda.Unknown", `The cause could not be determined because Lambda did not return an error type. Returned payload: {"errorMessage":"2026-01-26T08:00:00.1Z 6b1f7c1e-2d1b-4c57-9a55-1f0c7f5f2c11 Task timed out after 600.15 seconds"}`, "Lambda.Unknown: Task timed out after 600.15 seconds"},
		"Lambda died":            {cache.Failed, "Runtime.ExitError", `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: 6b1f7c1e-2d1b-4c57-9a55-1f0c7f5f2c11 Error: Runtime exited"}`, "Runtime.ExitError: Error: Runtime exited"},
		"payload not a document": {cache.Failed, "Lambda.Unknown", `Returned payload: null`, "Lambda.Unknown: Returned payload: null"},
		"task time-out":          {cache.Failed, "States.Timeout", "", "States.Timeout"},
		"execution time-out":     {cache.TimedOut, "", "", "States.Timeout: Execution timed out"},
		"stopped":                {cache.Aborted, "", "", "Execution was aborted"},
		"stopped with words":     {cache.Aborted, "Cancelled", "by the user", "Cancelled: by the user"},
		"Fail state, empty":      {cache.Failed, "", "", "Execution failed"},
		"Fail state, no name":    {cache.Failed, "", "too short", "too short"},
		"unknown word":           {"VAPORISED", "", "", "Execution failed"},
		"nested":                 {cache.Failed, "States.TaskFailed", `{"Error":"Boom","Cause":"it broke","Input":"{\"secret\":1}"}`, "Boom: it broke"},
		"nested Lambda":          {cache.Failed, "States.TaskFailed", `{"Error":"E","Cause":"{\"errorMessage\":\"m\",\"errorType\":\"T\"}","Input":"secret"}`, "E: m"},
		"nested, no cause":       {cache.Failed, "States.TaskFailed", `{"Error":"States.Timeout","Input":"secret"}`, "States.Timeout"},
		"nested, outer name":     {cache.Failed, "MyError", `{"errorType":"Other","message":"m"}`, "MyError: m"},
		"nested too deep":        {cache.Failed, "States.TaskFailed", deep, "States.TaskFailed"},
		"cut document":           {cache.Failed, "E", `{"errorMessage":"m","stackTrace":["secret`, "E"},
		"text with a brace":      {cache.Failed, "E", `{x} is not set`, "E: {x} is not set"},
		"several lines":          {cache.Failed, "E\r\n", "a\n\tb\x00c\u2028d", "E: a b c d"},
		"numbers for texts":      {cache.Failed, "E", `{"errorMessage":5,"errorType":{}}`, "E"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := ErrorMessage(c.status, c.error, c.cause); got != c.out {
				t.Errorf("got  %q\nwant %q", got, c.out)
			}
		})
	}
}

func TestErrorMessageIsClipped(t *testing.T) {
	t.Parallel()
	if n := utf8.RuneCountInString(ErrorMessage(cache.Failed, "E", strings.Repeat("é", 40_000))); n != 1024 {
		t.Errorf("%d characters", n)
	}
}

func FuzzErrorMessage(f *testing.F) {
	f.Add("States.TaskFailed", `{"Error":"E","Cause":"{\"errorMessage\":\"m\",\"stackTrace\":[\"s\"]}"}`)
	f.Add("Lambda.Unknown", `Returned payload: {"errorMessage":"m"}`)
	f.Fuzz(func(t *testing.T, name, cause string) {
		got := ErrorMessage(cache.Failed, name, cause)
		if got == "" || utf8.RuneCountInString(got) > 1024 || !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return r != ' ' && awscall.OneLine(string(r)) == "" }) {
			t.Fatalf("%q", got)
		}
	})
}

// TestErrorMessageOmitsJSONDocuments: JSON in any form is parsed or left out, but never shown
// unchanged.
func TestErrorMessageOmitsJSONDocuments(t *testing.T) {
	t.Parallel()
	const id = "6f1f3a52-0d3e-4b8e-9a54-0f6f3a520d3e"
	for name, test := range map[string]struct{ cause, want string }{
		"laid out in lines":     {"{\n  \"errorMessage\": \"no\",\n  \"requestId\": \"" + id + "\",\n  \"stackTrace\": [\"SECRET\"]\n}", "E: no"},
		"a space after a brace": {`{ "Error": "Inner", "Cause": "boom", "Input": "SECRET" }`, "E: boom"},
		"a payload cut off":     {`Task failed. Returned payload: {"errorMessage":"no","stackTrace":["SECRET`, "E: Task failed."},
		"text after a payload":  {`Task failed. Returned payload: {"errorMessage":"no","stackTrace":["SECRET"]} and so on SECRET`, "E: no"},
		"a list":                {`[{"Input":"SECRET"}]`, "E"},
		"a list cut off":        {`[ {"Input":"SECRET`, "E"},
		"a text in a text":      {`"{\"errorMessage\":\"no\",\"stackTrace\":[\"SECRET\"]}"`, "E: no"},
		"that cut off":          {`"{\"Input\":\"SECRET`, "E"},
		"an object cut off":     {`{ "Input": "SECRET`, "E"},
		"an id at the end":      {"It timed out RequestId: " + id, "E: It timed out"},
		"an id in the middle":   {"RequestId: " + id + " Error: Runtime exited", "E: Error: Runtime exited"},
		"a person's bracket":    {"[Errno 2] No such file", "E: [Errno 2] No such file"},
		"a person's brace":      {"{rule} is not known", "E: {rule} is not known"},
		"a person's quote":      {`"prompt" is missing`, `E: "prompt" is missing`},
		"only white space":      {" \n ", "E"},
	} {
		if got := ErrorMessage(cache.Failed, "E", test.cause); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// TestAnExecutionThatRanOutOfTimeHasAnErrorName: Step Functions leaves the name out, but
// failures are found and grouped by it.
func TestAnExecutionThatRanOutOfTimeHasAnErrorName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status     cache.Status
		name, want string
	}{
		{cache.TimedOut, "", "States.Timeout"},
		{cache.TimedOut, "Late", "Late"},
		{cache.Failed, "", ""},
		{cache.Aborted, "", ""},
		{cache.Failed, "a\nb", "a b"},
	} {
		if got := ErrorName(c.status, c.name); got != c.want {
			t.Errorf("%s %q: %q, want %q", c.status, c.name, got, c.want)
		}
	}
}
