package event

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"statuscache/ingest/ingesttest"
)

// decodedDetail is a detail for decoding with the JSON package.
type decodedDetail struct {
	ExecutionARN jsontext.Value `json:"executionArn"`
	Status       jsontext.Value `json:"status"`
	Output       jsontext.Value `json:"output"`
	Cause        jsontext.Value `json:"cause"`
}

// checkMembers compares what eachMember reads with what the JSON package decodes.
func checkMembers(t *testing.T, object []byte) {
	t.Helper()
	before := string(object)
	var want decodedDetail
	err := json.Unmarshal(object, &want, lenient)
	var got detail
	complete := eachMember(object, got.set)
	if string(object) != before {
		t.Fatalf("%q was changed to %q", before, object)
	}
	if jsontext.Value(object).Kind() == 'n' && err == nil {
		return // the JSON package decodes null as an empty struct
	}
	if complete != (err == nil) {
		t.Fatalf("%q: read completely: %v, but decoded with %v", object, complete, err)
	}
	for _, pair := range [][2]jsontext.Value{
		{want.ExecutionARN, got.executionARN}, {want.Status, got.status}, {want.Output, got.output}, {want.Cause, got.cause},
	} {
		if complete && string(pair[0]) != string(pair[1]) {
			t.Fatalf("%q: read %q, decoded %q", object, pair[1], pair[0])
		}
	}
}

var oddObjects = []string{
	"", " ", "{}", " {} ", "{}{}", "{} x", "{", "}", "[]", "null", "true", "1", `"{}"`, "\uFEFF{}",
	`{"status":"A","status":"B"}`, `{"status":"A","status":null}`, `{"status":{"status":"inner"},"output":[1,{"output":2}]}`,
	`{"st\u0061tus":"escaped name","out\u0070ut":"x\ny"}`, `{"status\":1}`, `{"\ud800":1,"status":"lone surrogate"}`, "{\"status\":\"\xff\",\"\xfe\":1}",
	`{ "status" :  "spaces" , "output"	: [ 1 , 2 ] }`, `{"status":"A",}`, `{,"status":"A"}`, `{"status" "A"}`, `{"status":}`, `{status:"A"}`, `{"status":"A"`,
	`{"status":"A"}garbage`, `{"output":01}`, `{"output":1e999}`, `{"output":"unended}`, "{\"output\":\"line\nbreak\"}", `{"Status":"upper case","STATUS":1}`,
	strings.Repeat(`{"output":`, 9_000) + "1" + strings.Repeat("}", 9_000), strings.Repeat(`{"output":`, 10_001) + "1" + strings.Repeat("}", 10_001),
}

// TestMembersAreThoseThatTheJSONPackageDecodes, even of malformed objects.
func TestMembersAreThoseThatTheJSONPackageDecodes(t *testing.T) {
	t.Parallel()
	for _, text := range oddObjects {
		checkMembers(t, []byte(text))
	}
	for _, body := range ingesttest.Fixtures(t) {
		var e struct {
			Detail jsontext.Value `json:"detail"`
		}
		if err := json.Unmarshal(body, &e, lenient); err != nil {
			t.Fatal(err)
		}
		checkMembers(t, body)
		checkMembers(t, e.Detail)
	}
}

func FuzzMembers(f *testing.F) {
	for _, text := range oddObjects {
		f.Add([]byte(text))
	}
	f.Fuzz(checkMembers)
}

// TestNothingDecodedSharesTheMessage, because the buffer of a message may be used again.
func TestNothingDecodedSharesTheMessage(t *testing.T) {
	t.Parallel()
	for _, output := range []string{`"{\"a\":1}"`, `"12"`, `{"a":1}`} {
		body := event(base + `,"input":"{\"tenantId\":\"t1\"}","output":` + output)
		d := Decoder{Owner: OwnerPath{"tenantId"}}
		e, err := d.Decode(body)
		if err != nil {
			t.Fatal(err)
		}
		want := string(e.Output) + string(e.ARN) + e.Owner + string(e.Status) + e.EventID
		for i := range body {
			body[i] = 'x'
		}
		if got := string(e.Output) + string(e.ARN) + e.Owner + string(e.Status) + e.EventID; got != want || len(e.Output) == 0 {
			t.Errorf("%q became %q", want, got)
		}
	}
}

// TestAnInputWithoutLabelsStillGivesItsType, even if the name has escapes.
func TestAnInputWithoutLabelsStillGivesItsType(t *testing.T) {
	t.Parallel()
	for input, want := range map[string]string{
		`"{\"inputType\":\"rule\"}"`: "rule", `"{\u0022inputType\u0022:\"rule\"}"`: "rule", `"{\"\u0069nputType\":\"rule\"}"`: "rule",
		`{"inputType":"rule"}`: "rule", `"{\"type\":\"rule\"}"`: "",
	} {
		e, err := new(Decoder).Decode(event(base + `,"input":` + input))
		if err != nil || e.InputType != want {
			t.Errorf("%s: %q, %v", input, e.InputType, err)
		}
	}
}
