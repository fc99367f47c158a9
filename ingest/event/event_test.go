package event

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"statuscache/cache"
	"statuscache/ingest/ingesttest"
)

const fixtureARN = "arn:aws:states:us-east-1:210987654321:execution:cloudsigma-rule-generation:"

func TestFixtures(t *testing.T) {
	t.Parallel()
	const output = `{"ruleId":"rule_01JQ8","title":"IMDSv1 credential theft","confidence":0.92}`
	type want struct {
		name, status, output, message string
		redrives                      int
		source                        cache.Source
		err                           error
	}
	wants := map[string]want{
		"01_running":                           {name: "gen-01JQ8A7M", status: "RUNNING"},
		"02_succeeded":                         {name: "gen-01JQ8A7M", status: "SUCCEEDED", output: output},
		"02b_succeeded_redelivered_same_id":    {name: "gen-01JQ8A7M", status: "SUCCEEDED", output: output},
		"03_failed_tier_limit_exceeded":        {name: "gen-01JQ8B0C", status: "FAILED", message: "TierLimitExceeded: Monthly rule generation limit reached"},
		"04_failed_lambda_python_stacktrace":   {name: "gen-01JQ8B1D", status: "FAILED", message: "ValueError: invalid literal for int() with base 10: 'ten'"},
		"05_failed_lambda_node_trace":          {name: "gen-01JQ8B2E", status: "FAILED", message: "TooManyRequestsException: Rate Exceeded."},
		"08_failed_fail_state":                 {name: "gen-01JQ8B5H", status: "FAILED", message: "ValidationFailed: prompt must be between 10 and 2000 characters"},
		"09_failed_fail_state_empty":           {name: "gen-01JQ8B6I", status: "FAILED", message: "Execution failed"},
		"10_failed_task_timeout":               {name: "gen-01JQ8B7J", status: "FAILED", message: "States.Timeout"},
		"11_failed_data_limit_exceeded":        {name: "gen-01JQ8B8K", status: "FAILED", message: "States.DataLimitExceeded: The state/task 'arn:aws:lambda:us-east-1:210987654321:function:rulegen' returned a result with a size exceeding the maximum number of bytes service limit."},
		"12_failed_states_runtime":             {name: "gen-01JQ8B9L", status: "FAILED", message: "States.Runtime: An error occurred while executing the state 'HasEnricher?' (entered at the event id #2). Invalid path '$.should_enrich': The choice state's condition path references an invalid value."},
		"13_failed_nested_sync":                {name: "gen-01JQ8BAM", status: "FAILED", message: "States.Timeout"},
		"17_timed_out":                         {name: "gen-01JQ8C0A", status: "TIMED_OUT", message: "States.Timeout: Execution timed out"},
		"19_aborted_with_error_cause":          {name: "gen-01JQ8D0A", status: "ABORTED", message: "UserCancelled: Cancelled from the dashboard by user"},
		"20_aborted_plain":                     {name: "gen-01JQ8D1B", status: "ABORTED", message: "Execution was aborted"},
		"30_running_redriven":                  {name: "gen-01JQ8F0A", status: "RUNNING", redrives: 1},
		"31_failed_before_redrive":             {name: "gen-01JQ8F0A", status: "FAILED"},
		"32_failed_redriven_again":             {name: "gen-01JQ8F0A", status: "FAILED", redrives: 1},
		"35_failed_not_redrivable":             {name: "gen-01JQ8F2C", status: "FAILED"},
		"40_running_truncated_input":           {name: "gen-01JQ8G0A", status: "RUNNING"},
		"41_succeeded_truncated_input":         {name: "gen-01JQ8G0A", status: "SUCCEEDED", output: output},
		"45_failed_truncated_input":            {name: "gen-01JQ8G4E", status: "FAILED"},
		"46_running_input_just_below_248KiB":   {status: "RUNNING"},
		"50_map_child_standard_succeeded":      {name: "ac537772-4599-3a63-bbbc-cf52f4cbb818", status: "SUCCEEDED", output: `"ok"`},
		"52_map_child_express_name_with_colon": {name: "6d52cb81-4e1c-31c3-99db-82a193971b57:c5110cbf-bbd3-407b-8056-9c60653c1b59", status: "FAILED", redrives: 1, message: "States.TaskFailed: boom"},
		"53_alias_succeeded":                   {status: "SUCCEEDED"},
		"54_version_running":                   {status: "RUNNING"},
		"56_partition_aws_us_gov":              {},
		"58_unicode":                           {name: "生成-ルール-🛡️-é", status: "SUCCEEDED", output: "{\"summary\":\"naïve café 東京 \u2028line\",\"rtl\":\"قاعدة\"}"},
		"60_output_scalar_string":              {name: "gen-01JQ8K0A", status: "SUCCEEDED", output: `"Hello World!"`},
		"70_replayed_succeeded":                {name: "gen-01JQ8L0A", status: "SUCCEEDED", output: output, source: cache.FromReplay},
		"80_legacy_2019_shape":                 {name: "gen-2019", status: "FAILED", message: "Execution failed"},
		"81_current_docs_sample_with_arn_typo": {name: "gen-doc", status: "RUNNING"},
		"90_other_detail_type":                 {err: ErrNotOurs},
		"91_input_transformer_slim":            {err: ErrUndecodable},
		"95_sqs_message":                       {name: "gen-01JQ8A7M", status: "SUCCEEDED", output: output},
		"96_eventbridge_target_dlq_message":    {name: "gen-01JQ8A7M", status: "SUCCEEDED", output: output},
	}
	fixtures := ingesttest.Fixtures(t)
	if len(fixtures) != len(wants) {
		t.Errorf("%d fixtures, %d expectations", len(fixtures), len(wants))
	}
	owner, err := ParseOwnerPath("$.tenantId")
	if err != nil {
		t.Fatal(err)
	}
	d := Decoder{Owner: owner}
	for name, body := range fixtures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := wants[name]
			ev, err := d.Decode(body)
			if !errors.Is(err, w.err) {
				t.Fatalf("error %v, want %v", err, w.err)
			}
			if err != nil {
				return
			}
			e := ev
			if w.source == "" {
				w.source = cache.FromEvent
			}
			if e.Source != w.source || e.RedriveCount != w.redrives || e.StartDate.IsZero() || ev.EventID == "" || ev.EmittedAt.IsZero() {
				t.Errorf("source %s, redrives %d, start %v, id %q, time %v", e.Source, e.RedriveCount, e.StartDate, ev.EventID, ev.EmittedAt)
			}
			for _, c := range []struct{ what, got, want string }{
				{"name", e.ARN.Name(), w.name},
				{"status", string(e.Status), w.status},
				{"output", string(e.Output), w.output},
				{"errorMessage", e.ErrorMessage, w.message},
			} {
				if c.want != "" && c.got != c.want {
					t.Errorf("%s %q, want %q", c.what, c.got, c.want)
				}
			}
			if e.Terminal() == e.StopDate.IsZero() {
				t.Errorf("terminal %v, stop date %v", e.Terminal(), e.StopDate)
			}
			if strings.Contains(string(body), "tnt_7f3a") != (e.Owner == "tnt_7f3a") {
				t.Errorf("owner %q", e.Owner)
			}
		})
	}
}

// event creates an event from the text of its detail.
func event(detail string) []byte {
	return []byte(`{"id":"1","detail-type":"Step Functions Execution Status Change","source":"aws.states","time":"2026-01-26T08:00:42Z","detail":{` + detail + `}}`)
}

const base = `"executionArn":"` + fixtureARN + `x","status":"SUCCEEDED","startDate":1769414400123,"stopDate":1769414442000`

func TestOutputByteForByte(t *testing.T) {
	t.Parallel()
	for _, out := range []string{
		`9007199254740993`, `1.0e10`, `-0`, `{"a":1,"a":2}`, `{ "b" : [ 1 ,2 ], "a" : null }`, "\"\u2028\"", `"<&>"`, `"\ud800"`, `"\u00e9\/"`,
		`null`, `"` + strings.Repeat("é\\\"", 50_000) + `"`, " [1]\n",
	} {
		quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(out)
		for shape, text := range map[string]string{"text": `"` + quoted + `"`, "value": out} {
			if shape == "value" && strings.ContainsAny(out[:1], "n \"") {
				continue // as values, null, white space around them, and texts have another meaning
			}
			ev, err := new(Decoder).Decode(event(base + `,"output":` + text))
			if err != nil {
				t.Fatal(err)
			}
			if string(ev.Output) != out || ev.Completeness != cache.Complete {
				t.Errorf("%s: %.60q became %.60q", shape, out, ev.Output)
			}
		}
	}
}

func TestOutputLeftOut(t *testing.T) {
	t.Parallel()
	for more, want := range map[string]cache.Completeness{
		``: cache.OutputAwaited, `,"output":null`: cache.OutputAwaited,
		`,"output":null,"outputDetails":{"included":true}`:  cache.OutputAwaited,
		`,"output":"","outputDetails":{"included":false}`:   cache.OutputAwaited,
		`,"output":"{}","outputDetails":{"included":false}`: cache.OutputAwaited,
		// Given up, because Step Functions would return the same output again.
		`,"output":"{"`: cache.OutputGivenUp, `,"output":"{}{}"`: cache.OutputGivenUp, `,"output":"\"\u0000\""`: cache.OutputGivenUp,
	} {
		ev, err := new(Decoder).Decode(event(base + more))
		if err != nil || ev.Completeness != want || ev.Output != nil {
			t.Errorf("%s: %v, %d, %q", more, err, ev.Completeness, ev.Output)
		}
	}
}

// TestOwnerLeftOut: it is set only if an owner could have been in the input.
func TestOwnerLeftOut(t *testing.T) {
	t.Parallel()
	for more, want := range map[string]bool{
		`,"input":"{}"`: false, `,"input":"{}","inputDetails":{"included":true}`: false,
		``: true, `,"input":null`: true, `,"input":"","inputDetails":{"included":false}`: true,
	} {
		for _, path := range []OwnerPath{nil, {"tenantId"}} {
			d := Decoder{Owner: path}
			ev, err := d.Decode(event(base + more))
			if err != nil || ev.OwnerLeftOut != (want && path != nil) {
				t.Errorf("%s with the path %v: %v, %v", more, path, ev.OwnerLeftOut, err)
			}
		}
	}
}

func TestShapesOfDates(t *testing.T) {
	t.Parallel()
	want := time.UnixMilli(1769414400123).UTC()
	for text, ok := range map[string]bool{
		`1769414400123`: true, `1769414400.123`: true, `"2026-01-26T08:00:00.123Z"`: true, `"2026-01-26T10:00:00.123+02:00"`: true, `1.769414400123e12`: true,
		`"1769414400123"`: true, `" 1769414400.123 "`: true,
		`"yesterday"`: false, `"NaN"`: false, `"-5"`: false, `true`: false, `-5`: false, `1e300`: false, `253402300800000`: false, `{}`: false, `"0000-01-01T00:00:00Z"`: false,
	} {
		body := event(`"executionArn":"` + fixtureARN + `x","status":"RUNNING","startDate":` + text)
		ev, err := new(Decoder).Decode(body)
		switch {
		case ok && (err != nil || !ev.StartDate.Equal(want)):
			t.Errorf("%s: %v, %v", text, ev.StartDate, err)
		case !ok && !errors.Is(err, ErrUndecodable):
			t.Errorf("%s: accepted: %v", text, err)
		}
	}
}

// TestAnEventMayLackItsStartDate, in each form that emulators and input transformers write: the
// date of the known run is used. The same is true for a redrive count.
func TestAnEventMayLackItsStartDate(t *testing.T) {
	t.Parallel()
	const missing = `"executionArn":"` + fixtureARN + `x","status":"SUCCEEDED","stopDate":"1769414442000"`
	for _, more := range []string{
		``, `,"startDate":null`, `,"startDate":""`, `,"startDate":" "`, `,"startDate":0`, `,"startDate":0.0`, `,"startDate":"0"`, `,"startDate":"null"`,
		`,"startDate":null,"redriveCount":""`, `,"startDate":null,"redriveCount":"null"`, `,"startDate":null,"redriveCount":"0"`,
	} {
		e, err := new(Decoder).Decode(event(missing + more))
		if err != nil || !e.StartDate.IsZero() || e.StopDate.UnixMilli() != 1769414442000 || e.RedriveCount != 0 {
			t.Errorf("%s: %+v, %v", more, e, err)
		}
	}
	e, err := new(Decoder).Decode(event(missing + `,"redriveCount":"3"`))
	if err != nil || e.RedriveCount != 3 {
		t.Errorf("a count in quotes: %+v, %v", e, err)
	}
}

func TestADetailMayBeQuoted(t *testing.T) {
	t.Parallel()
	e, err := new(Decoder).Decode([]byte(`{"id":"1","detail-type":"Step Functions Execution Status Change","source":"aws.states","detail":` + quoted("{"+base+"}") + `}`))
	if err != nil || e.ARN.Name() != "x" || e.Status != cache.Succeeded {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestUndecodable(t *testing.T) {
	t.Parallel()
	for name, body := range map[string][]byte{
		"nothing":         nil,
		"not JSON":        []byte("hello"),
		"an array":        []byte("[]"),
		"no source":       []byte(`{"detail-type":"Step Functions Execution Status Change","detail":{}}`),
		"no detail":       []byte(`{"source":"aws.states","detail-type":"Step Functions Execution Status Change","detail":null}`),
		"detail a text":   []byte(`{"source":"aws.states","detail-type":"Step Functions Execution Status Change","detail":"x"}`),
		"no ARN":          event(`"status":"RUNNING","startDate":1769414400123`),
		"ARN of machine":  event(`"executionArn":"arn:aws:states:us-east-1:210987654321:stateMachine:m","status":"RUNNING","startDate":1769414400123`),
		"no status":       event(`"executionArn":"` + fixtureARN + `x","startDate":1769414400123`),
		"status a number": event(`"executionArn":"` + fixtureARN + `x","status":7,"startDate":1769414400123`),
		"redrives":        event(base + `,"redriveCount":-1`),
		"many redrives":   event(base + `,"redriveCount":100000`),
		"deep":            []byte(strings.Repeat(`{"a":`, 200_000)),
		"NUL":             []byte("{\"source\":\"aws.states\x00\"}"),
		"huge":            append(event(base), make([]byte, MaxBody)...),
	} {
		if _, err := new(Decoder).Decode(body); !errors.Is(err, ErrUndecodable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnknownStatus(t *testing.T) {
	t.Parallel()
	for detail, terminal := range map[string]bool{
		`"status":"HIBERNATING","startDate":1769414400123`:                        false,
		`"status":"VAPORISED","startDate":1769414400123,"stopDate":1769414442000`: true,
	} {
		ev, err := new(Decoder).Decode(event(`"executionArn":"` + fixtureARN + `x",` + detail))
		if err != nil || ev.Terminal() != terminal || terminal && ev.ErrorMessage != "Execution failed" {
			t.Errorf("%s: %+v, %v", detail, ev, err)
		}
	}
}

func TestRegisters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ path, input, owner, inputType string }{
		{"tenantId", `"{\"tenantId\":\"t1\",\"inputType\":\"url\"}"`, "t1", "url"},
		{"caller.sub", `"{\"caller\":{\"sub\":\"u\"}}"`, "u", ""},
		{"$.tenantId", `{"tenantId":42}`, "42", ""},
		{"tenantId", `{"tenantId":1.5}`, "", ""},
		{"tenantId", `{"tenantId":"a","tenantId":"b"}`, "b", ""},
		{"tenantId", `{"tenantId":{"x":1}}`, "", ""},
		{"tenantId", `"{\"tenantId\":\"t1\""`, "", ""},
		{"tenantId", `{"tenantId":"a\nb"}`, "", ""},
		{"tenantId", `{"tenantId":"` + strings.Repeat("x", 257) + `"}`, "", ""},
		{"tenantId", `null`, "", ""},
		{"", `{"tenantId":"t1","inputType":"cve"}`, "", "cve"},
		{"", `{"inputType":"a b"}`, "", ""},
	} {
		path, err := ParseOwnerPath(c.path)
		if err != nil {
			t.Fatal(err)
		}
		ev, err := (&Decoder{Owner: path}).Decode(event(base + `,"input":` + c.input))
		if err != nil || ev.Owner != c.owner || ev.InputType != c.inputType {
			t.Errorf("%s in %.60s: owner %q, input type %q, %v", c.path, c.input, ev.Owner, ev.InputType, err)
		}
	}
}

func TestOwnerPathErrors(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"a..b", ".", "a[0]", "$.$.a", "a b", strings.Repeat("a.", 20) + "a", "a.*"} {
		if p, err := ParseOwnerPath(s); err == nil {
			t.Errorf("%q is %v", s, p)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, body := range ingesttest.Fixtures(f) {
		f.Add(body)
	}
	f.Add(event(base + `,"output":"[1,2]","cause":"x"`))
	for _, body := range wrapped(string(event(base))) {
		f.Add([]byte(body))
	}
	d := Decoder{Owner: OwnerPath{"tenantId"}}
	f.Fuzz(func(t *testing.T, body []byte) {
		events, err := d.DecodeAll(body)
		if err != nil && !errors.Is(err, ErrNotOurs) && !errors.Is(err, ErrUndecodable) {
			t.Fatalf("error of an unknown kind: %v", err)
		}
		if err == nil && len(events) == 0 || len(events) > maxEvents {
			t.Fatalf("%d events and no error", len(events))
		}
		for _, e := range events {
			checkDecoded(t, &e)
		}
	})
}

// checkDecoded checks that an observation can be merged.
func checkDecoded(t *testing.T, e *cache.Execution) {
	t.Helper()
	if _, err := cache.ParseARN(string(e.ARN)); err != nil {
		t.Fatal(err)
	}
	if e.Terminal() && e.StopDate.IsZero() {
		t.Fatal("terminal without a stop date")
	}
	if !e.StartDate.IsZero() { // otherwise it gets a start date before it is merged
		if ms := e.StartDate.UnixMilli(); ms < 1 || ms > cache.MaxTime || len(e.Version()) != 24 {
			t.Fatalf("start %d, version %q", ms, e.Version())
		}
	}
	if len(e.Owner) > cache.MaxOwnerLength || len(e.InputType) > cache.MaxInputTypeLength {
		t.Fatal("a field is too long")
	}
	if utf8.RuneCountInString(e.ErrorMessage) > maxErrorMessage || !utf8.ValidString(e.ErrorMessage) {
		t.Fatal("message is too long or not UTF-8")
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, size := range []int{1_000, 6_000} {
		body := event(base + `,"input":"{\"tenantId\":\"t1\"}","output":"{\"a\":\"` + strings.Repeat("word ", (size-400)/5) + `\"}"`)
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			d := Decoder{Owner: OwnerPath{"tenantId"}}
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.Decode(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
