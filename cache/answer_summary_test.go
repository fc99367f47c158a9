package cache

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestSummary(t *testing.T) {
	t.Parallel()
	start := time.UnixMilli(1_770_724_800_000)
	for _, test := range []struct{ name, output, want string }{
		{"metadata", `{"rules":[1],"metadata":{"inputType":"url","n":9007199254740993}}`, `,"metadata":{"inputType":"url","n":9007199254740993}`},
		{"on several lines", "{\"metadata\":\n{\"a\":\r\n1.0e10}}", `,"metadata":{"a":  1.0e10}`},
		{"escaped name", `{"meta\u0064ata":{"a":1}}`, `,"metadata":{"a":1}`},
		{"twice", `{"metadata":{"a":1},"metadata":{"a":2}}`, `,"metadata":{"a":2}`},
		{"further down", `{"x":{"metadata":{"a":1}}}`, `,"inputType":"url"`},
		{"no object", `{"metadata":"x"}`, `,"inputType":"url"`},
		{"too large", `{"metadata":{"a":"` + strings.Repeat("x", maxMetadata) + `"}}`, `,"inputType":"url"`},
		{"output no object", `[{"metadata":{}}]`, `,"inputType":"url"`},
		{"nothing", `null`, `,"inputType":"url"`},
		{"a string like the key", `{"a":",\"output\":","metadata":{}}`, `,"metadata":{}`},
	} {
		e := succeeded(testARN(t, "s"), start, test.output)
		r := recordFrom(t, &e)
		r.InputType = "url"
		want := `{"status":"SUCCEEDED","executionArn":"` + string(e.ARN) + `","startDate":"2026-02-10T12:00:00Z","stopDate":"2026-02-10T12:00:01Z","name":"s"` + test.want +
			`,"executionStatus":"SUCCEEDED","stateMachineArn":"arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline","attempt":1}`
		if got := string(r.Summary()); got != want {
			t.Errorf("%s: %s\nwant %s", test.name, got, want)
		}
	}
	e := failed(testARN(t, "f"), start, `Boom: ,"output": {"metadata":{}}`)
	if got := string(recordFrom(t, &e).Summary()); !strings.HasSuffix(got, `,"errorMessage":"Boom: ,\"output\": {\"metadata\":{}}","name":"f","executionStatus":"FAILED","stateMachineArn":"arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline","attempt":1,"error":"Boom"}`) {
		t.Error(got)
	}
}

// recordFrom is what a reader has of an observation.
func recordFrom(t testing.TB, e *Execution) *Record {
	t.Helper()
	r, err := decode(e.ARN, recordOf(e, "", ""))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func FuzzSummary(f *testing.F) {
	f.Add(`{"metadata":{"a":[1,2,{"b":null}]}}`)
	f.Add("{\"metadata\":{\n}}")
	f.Add(`{"metadata":{"\ud800":1}}`)
	f.Fuzz(func(t *testing.T, output string) {
		if !json.Valid([]byte(output)) {
			return
		}
		e := succeeded(testARN(t, "s"), time.UnixMilli(1e12), output)
		got := recordFrom(t, &e).Summary()
		if !json.Valid(got) || strings.ContainsAny(string(got), "\r\n") || len(got) > maxMetadata+1024 {
			t.Errorf("%s", got)
		}
	})
}
