package cache

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"statuscache/cache/internal/compression"
)

var bodyStart = time.Date(2026, 2, 10, 13, 0, 0, 999_000_000, time.FixedZone("CET", 3600))

func TestBody(t *testing.T) {
	t.Parallel()
	const head = `{"success":true,"data":{"status":"`
	const times = `,"startDate":"2026-02-10T12:00:00Z","stopDate":"2026-02-10T12:00:25Z"`
	arn := testARN(t, "abc-123")
	named := `","executionArn":"` + string(arn) + `"`
	for what, test := range map[string]struct {
		execution Execution
		want      string
	}{
		"running":               {Execution{Status: Running}, head + "RUNNING" + named + `,"startDate":"2026-02-10T12:00:00Z"}}`},
		"waiting for a redrive": {Execution{Status: PendingRedrive}, head + "RUNNING" + named + `,"startDate":"2026-02-10T12:00:00Z"}}`},
		"succeeded": {
			Execution{Status: Succeeded, Completeness: Complete, Output: []byte(`{"rules":[]}`)},
			head + "SUCCEEDED" + named + times + `,"output":{"rules":[]}}}`,
		},
		"output still to come": {
			Execution{Status: Succeeded, Completeness: OutputAwaited},
			head + "RUNNING" + named + `,"startDate":"2026-02-10T12:00:00Z"}}`,
		},
		"output given up": {
			Execution{Status: Succeeded, Completeness: OutputGivenUp},
			head + "SUCCEEDED" + named + times + `,"output":null,"outputTruncated":true}}`,
		},
		"failed": {
			Execution{Status: Failed, Completeness: Complete, Error: "E", ErrorMessage: "E: <b>\"no\"</b> \u2028\\\x01\xff"},
			head + "FAILED" + named + times + `,"errorMessage":"E: <b>\"no\"</b> ` + "\u2028" + `\\\u0001` + "\uFFFD" + `"}}`,
		},
		"timed out":            {Execution{Status: TimedOut, ErrorMessage: "late"}, head + "FAILED" + named + times + `,"errorMessage":"late"}}`},
		"aborted":              {Execution{Status: Aborted, ErrorMessage: "by hand"}, head + "FAILED" + named + times + `,"errorMessage":"by hand"}}`},
		"a word of the future": {Execution{Status: "EXPLODED", ErrorMessage: "?"}, head + "FAILED" + named + times + `,"errorMessage":"?"}}`},
	} {
		e := test.execution
		e.ARN, e.StartDate = arn, bodyStart
		if e.Status != Running && e.Status != PendingRedrive {
			e.StopDate = bodyStart.Add(25 * time.Second)
		}
		got := string(appendBody(nil, &e))
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
		if !json.Valid([]byte(got)) {
			t.Errorf("%s: not JSON", what)
		}
	}
}

// outputs are texts that a JSON encoder rewrites.
var outputs = map[string]string{
	"a large integer":  `9007199254740993`,
	"a float":          `1.0e10`,
	"minus zero":       `-0`,
	"duplicate names":  `{"b":1,"a":2,"b":3}`,
	"inner spaces":     "{ \"a\" :\t[ 1 ,\r\n 2 ] }",
	"line separator":   "\"\u2028\u2029\"",
	"escapes":          `"\u003c\/\u00e9\ud83d\ude00"`,
	"marks of HTML":    `"<script>&amp;</script>"`,
	"null":             `null`,
	"deep nesting":     strings.Repeat("[", 5000) + strings.Repeat("]", 5000),
	"250 KB":           `{"rules":"` + strings.Repeat("title: <é> \u2028 ", 250<<10/18) + `"}`,
	"250 KB of spaces": `{` + strings.Repeat(" ", 250<<10) + `}`,
}

// TestOutputIsKeptByteForByte looks at what a reader of the record gets, plain
// and after compression.
func TestOutputIsKeptByteForByte(t *testing.T) {
	t.Parallel()
	for what, output := range outputs {
		e := succeeded(testARN(t, "output"), bodyStart, output)
		r, err := decode(e.ARN, recordOf(&e, "", ""))
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if !strings.HasSuffix(string(r.Plain.Body), `,"output":`+output+`}}`) {
			t.Errorf("%s: changed", what)
		}
		if compressed := r.Gzip != nil; compressed != (len(output) > compressAbove) {
			t.Errorf("%s: compressed %v", what, compressed)
		} else if compressed {
			if again, err := compression.Gunzip(r.Gzip.Body, len(r.Plain.Body)); err != nil || string(again) != string(r.Plain.Body) {
				t.Errorf("%s: the compressed answer is another one: %v", what, err)
			}
		}
	}
}

func TestFull(t *testing.T) {
	t.Parallel()
	e := failed(testARN(t, "full"), bodyStart, "Boom: no")
	e.Status, e.RedriveCount, e.Source = TimedOut, 2, FromReplay
	r, err := decode(e.ARN, recordOf(&e, "ada", "url"))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"success":true,"data":{"status":"FAILED","executionArn":"` + testMachine + `full","startDate":"2026-02-10T12:00:00Z"` +
		`,"stopDate":"2026-02-10T12:00:01Z","errorMessage":"Boom: no","executionStatus":"TIMED_OUT","name":"full"` +
		`,"stateMachineArn":"arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline","attempt":3,"error":"Boom"` +
		`,"observedAt":"2026-02-10T12:30:00.123Z","source":"replay","version":"` + string(e.Version()) + `"}}`
	full := r.Full(time.Time{})
	if diff := cmp.Diff(want, string(full.Body)); diff != "" {
		t.Error(diff)
	}
	audited := r.Full(bodyStart)
	if want := strings.TrimSuffix(want, "}}") + `,"auditedAt":"2026-02-10T12:00:00Z"}}`; string(audited.Body) != want || audited.ETag[0] != full.ETag[0] {
		t.Errorf("audited: %s with the ETag %s, else %s", audited.Body, audited.ETag[0], full.ETag[0])
	}
	if full.ETag[0] == r.Plain.ETag[0] || !strings.HasPrefix(full.ETag[0], `"`+string(r.Version)+"-") || !strings.HasSuffix(full.ETag[0], `-full"`) {
		t.Errorf("ETag %s beside %s", full.ETag[0], r.Plain.ETag[0])
	}
	e = running(e.ARN, bodyStart)
	if r, err = decode(e.ARN, recordOf(&e, "", "")); err != nil {
		t.Fatal(err)
	}
	if body := string(r.Full(time.Time{}).Body); !strings.Contains(body, `"attempt":1,"error":null,`) {
		t.Errorf("without an error: %s", body)
	}
}

func TestETagsOfDifferentAnswersDiffer(t *testing.T) {
	t.Parallel()
	arn := testARN(t, "etag")
	large := `"` + strings.Repeat("x", 2*compressAbove) + `"`
	timedOut := failed(arn, bodyStart, "same")
	timedOut.Status = TimedOut
	otherName := failed(arn, bodyStart, "same")
	otherName.Error = "Bang" // shown by the full view only
	seen := map[string]bool{}
	for _, e := range []Execution{
		running(arn, bodyStart), succeeded(arn, bodyStart, `1`), succeeded(arn, bodyStart, `1.0`), succeeded(arn, bodyStart, large),
		failed(arn, bodyStart, "same"), failed(arn, bodyStart, "other"), timedOut, otherName,
	} {
		r, err := decode(arn, recordOf(&e, "", ""))
		if err != nil {
			t.Fatal(err)
		}
		for _, answer := range []*Representation{r.Plain, r.Gzip, r.Full(time.Time{})} {
			if answer == nil {
				continue
			}
			if tag := answer.ETag[0]; seen[tag] || tag[0] != '"' || tag[len(tag)-1] != '"' {
				t.Errorf("%s: used before or not quoted", tag)
			} else {
				seen[tag] = true
			}
		}
	}
	if len(seen) != 17 {
		t.Errorf("%d answers, want 17", len(seen))
	}
}
