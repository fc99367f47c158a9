package event

import (
	"math/rand/v2"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"statuscache/ingest/ingesttest"
)

// member is a visited member.
type member struct{ name, value string }

// membersOf returns the members that a reader visits, and whether the text is a complete
// object.
func membersOf(read func(jsontext.Value, func([]byte, jsontext.Value)) bool, object []byte) (all []member, complete bool) {
	complete = read(object, func(name []byte, value jsontext.Value) { all = append(all, member{string(name), string(value)}) })
	return all, complete
}

var scannedPaths = []OwnerPath{{"status"}, {"output"}, {"output", "output"}, {"a", "b"}, {"é"}, {"\uFFFD"}}

// checkScan compares how the scanner and jsontext read a text. It reports whether the scanner
// could read it.
func checkScan(t *testing.T, b []byte) (scanned bool) {
	t.Helper()
	got, complete := membersOf(func(v jsontext.Value, visit func([]byte, jsontext.Value)) bool { return scanMembers(v, visit) }, b)
	want, wantComplete := membersOf(readMembers, b)
	if complete && !wantComplete {
		t.Fatalf("%q is scanned, but is not an object", b)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(member{})); complete && diff != "" {
		t.Fatalf("%q: %s", b, diff)
	}
	v := jsontext.Value(b)
	if scanValid(b) && !v.IsValid(lenient) {
		t.Fatalf("%q is reported as valid", b)
	}
	if text, ok := unquote(b); ok && v.IsValid(lenient) {
		if want, err := jsontext.AppendUnquote(nil, b); err != nil || string(want) != string(text) {
			t.Fatalf("%q: unquoted %q, want %q, %v", b, text, want, err)
		}
	}
	for _, path := range scannedPaths {
		if got, want := find(b, path), read(b, path); string(got) != string(want) || (got == nil) != (want == nil) {
			t.Fatalf("%q: %v is %q, want %q", b, path, got, want)
		}
	}
	return complete
}

var oddTexts = []string{
	`"a\/b\"\\\b\f\n\r\t"`, `"\u00e9"`, `"\ud83d\ude00"`, `"\ud800"`, `"\x"`, `"\`, `"\"`, `"a"b"`, "\"\x7f\"", "\"\x1f\"", "\"\xff\"", `"é"`, `""`, `"`,
	"-", "-0", "00", "1.", ".1", "1.5e+3", "1e", "1E-", "tru", "truex", "nul", "[1,]", "[,1]", "[ ]", "[[],{}]", "[1 2]", `{"a":{"b":1},"a":2}`, `{"a":2,"a":{"b":1}}`,
	`{"a":{"b":1}} x`, `{"é":1}`, "{\"\xff\":1}", `{"a\/b":1}`, `{"a":1,}`, `{"a":1 "b":2}`, `{"a" :1}`, "{\"a\":\"12345678\x01\"}", `{"a":"1234567\"890123456\\7"}`,
}

// TestTheScannerReadsAsJSONTextDoes for any text.
func TestTheScannerReadsAsJSONTextDoes(t *testing.T) {
	t.Parallel()
	for _, text := range append(oddTexts, oddObjects...) {
		checkScan(t, []byte(text))
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, body := range ingesttest.Fixtures(t) {
		checkScan(t, body)
		for range 200 { // damaged
			b := append([]byte(nil), body[:min(len(body), 4096)]...)
			for range 1 + r.IntN(3) {
				b[r.IntN(len(b))] = `"\{}[]:,0e.-tfn u/`[r.IntN(18)]
			}
			checkScan(t, b)
		}
	}
}

// TestUsualEventsAreScanned: only unusual events are read by jsontext, which is slower.
func TestUsualEventsAreScanned(t *testing.T) {
	t.Parallel()
	for _, body := range []string{string(event(base + `,"output":"{\"a\": [1.5, \"é\\n\"]}"`)), "{\n  \"detail\" : { \"status\" : null }\r\n}\t"} {
		if !checkScan(t, []byte(body)) {
			t.Errorf("%s is not scanned", body)
		}
	}
}

func FuzzScan(f *testing.F) {
	for _, text := range append(oddTexts, oddObjects[:len(oddObjects)-2]...) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) { checkScan(t, b) })
}
