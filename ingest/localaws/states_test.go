package localaws

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/smithy-go"
	"github.com/go-json-experiment/json"

	"statuscache/ingest/awstest"
)

// inProcess has an SDK call the server without a network, so that it can be used
// in a bubble.
type inProcess struct{ *Server }

func (p inProcess) Do(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	r.RequestURI = ""
	p.ServeHTTP(w, r)
	return w.Result(), nil
}

// stepFunctions returns a client that does not try again.
func stepFunctions(t testing.TB, s *Server) *sfn.Client {
	config := awstest.Config(t, "http://localhost")
	config.HTTPClient = inProcess{s}
	config.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	return sfn.NewFromConfig(config)
}

// recorder keeps the events that a server publishes, in order.
type recorder struct {
	lock   sync.Mutex
	events []statusEvent
}

func record(s *Server) *recorder {
	r := &recorder{}
	s.states.publish = func(event []byte) {
		var e statusEvent
		if err := json.Unmarshal(event, &e, json.RejectUnknownMembers(true)); err != nil {
			panic(err)
		}
		r.lock.Lock()
		defer r.lock.Unlock()
		r.events = append(r.events, e)
	}
	return r
}

func (r *recorder) all() []statusEvent {
	r.lock.Lock()
	defer r.lock.Unlock()
	return r.events
}

func (r *recorder) statuses() string {
	var all []string
	for _, e := range r.all() {
		all = append(all, e.Detail.Status)
	}
	return strings.Join(all, " ")
}

// always is a plot of one ending.
func always(e Ending) Plot { return func(Attempt) Ending { return e } }

// wantCode fails the test unless an SDK's error has a code; "" stands for none.
func wantCode(t testing.TB, what string, err error, code string) {
	t.Helper()
	got := ""
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		got = api.ErrorCode()
	} else if err != nil {
		got = err.Error()
	}
	if got != code {
		t.Errorf("%s: %q, want %q (%v)", what, got, code, err)
	}
}

func start(t testing.TB, c *sfn.Client, machine, name, input string) *sfn.StartExecutionOutput {
	t.Helper()
	out, err := c.StartExecution(t.Context(), &sfn.StartExecutionInput{
		StateMachineArn: &machine, Name: aws.String(name), Input: aws.String(input),
	})
	if err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	return out
}

func describe(t testing.TB, c *sfn.Client, arn string) *sfn.DescribeExecutionOutput {
	t.Helper()
	out, err := c.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: &arn})
	if err != nil {
		t.Fatalf("describe %s: %v", arn, err)
	}
	return out
}

func TestLifeOfASuccess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New()
		told := record(s)
		c := stepFunctions(t, s)
		machine := s.CreateStateMachine("m", always(Ending{After: 3 * time.Second, Status: "SUCCEEDED", Output: `{"a": 1.0e10}`}))
		pass(123456 * time.Microsecond)
		begun := start(t, c, machine, "ü1", `{"in":1}`)
		arn := aws.ToString(begun.ExecutionArn)
		if want := "arn:aws:states:eu-west-1:000000000000:execution:m:ü1"; arn != want {
			t.Errorf("ARN %s, want %s", arn, want)
		}
		if got := describe(t, c, arn); got.Status != types.ExecutionStatusRunning || got.StopDate != nil || got.Output != nil ||
			!got.StartDate.Equal(*begun.StartDate) || aws.ToString(got.Input) != `{"in":1}` || !got.InputDetails.Included ||
			aws.ToString(got.RedriveStatusReason) == "" {
			t.Errorf("at first: %+v", got)
		}
		pass(3 * time.Second)
		synctest.Wait()
		got := describe(t, c, arn)
		if got.Status != types.ExecutionStatusSucceeded || aws.ToString(got.Output) != `{"a": 1.0e10}` || !got.OutputDetails.Included ||
			got.StopDate.Sub(*got.StartDate) < 2999*time.Millisecond || got.Error != nil || got.RedriveStatus != types.ExecutionRedriveStatusNotRedrivable {
			t.Errorf("in the end: %+v", got)
		}
		last := told.all()[1].Detail
		if told.statuses() != "RUNNING SUCCEEDED" || last.StartDate != begun.StartDate.UnixMilli() || *last.StopDate != got.StopDate.UnixMilli() ||
			*last.Output != *got.Output || *last.Input != *got.Input {
			t.Errorf("events %+v", told.all())
		}
		truth, known := s.Execution(arn)
		if !known || truth.Status != "SUCCEEDED" || truth.Output != *got.Output {
			t.Errorf("truth %+v", truth)
		}
		if calls := s.Calls(); calls["DescribeExecution"] != 2 || calls["StartExecution"] != 1 {
			t.Errorf("calls %v", calls)
		}
	})
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New()
		c := stepFunctions(t, s)
		machine := s.CreateStateMachine("m", always(Ending{}))
		start(t, c, machine, "one", `{}`)
		for _, test := range []struct{ machine, name, input, code string }{
			{machine, "one", `{}`, ""}, // it runs, with the same input
			{machine, "one", `{"other":1}`, "ExecutionAlreadyExists"},
			{machine, strings.Repeat("é", 80), `{}`, ""},
			{machine, strings.Repeat("é", 81), `{}`, "InvalidName"},
			{machine, "a b", `{}`, "InvalidName"},
			{machine, "a/b", `{}`, "InvalidName"},
			{machine, "a\u0085b", `{}`, "InvalidName"},
			{machine, "two", `{`, "InvalidExecutionInput"},
			{machine, "two", `"` + strings.Repeat("a", maxPayloadBytes-1) + `"`, "InvalidExecutionInput"},
			{machine, "two", `"` + strings.Repeat("a", maxPayloadBytes-2) + `"`, ""},
			{machine + "x", "three", `{}`, "StateMachineDoesNotExist"},
			{"m", "three", `{}`, "InvalidArn"},
		} {
			_, err := c.StartExecution(t.Context(), &sfn.StartExecutionInput{
				StateMachineArn: &test.machine, Name: &test.name, Input: &test.input,
			})
			wantCode(t, "start "+test.name, err, test.code)
		}
		for arn, code := range map[string]string{
			executionARN("m", "none"): "ExecutionDoesNotExist", machine: "InvalidArn", "x": "InvalidArn",
		} {
			_, err := c.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: &arn})
			wantCode(t, "describe "+arn, err, code)
			_, err = c.StopExecution(t.Context(), &sfn.StopExecutionInput{ExecutionArn: &arn})
			wantCode(t, "stop "+arn, err, code)
			_, err = c.RedriveExecution(t.Context(), &sfn.RedriveExecutionInput{ExecutionArn: &arn})
			wantCode(t, "redrive "+arn, err, code)
		}
		one := executionARN("m", "one")
		_, err := c.RedriveExecution(t.Context(), &sfn.RedriveExecutionInput{ExecutionArn: &one})
		wantCode(t, "redrive while it runs", err, "ExecutionNotRedrivable")
		_, err = c.StopExecution(t.Context(), &sfn.StopExecutionInput{ExecutionArn: &one, Error: aws.String(strings.Repeat("e", 257))})
		wantCode(t, "stop with a long error", err, "ValidationException")
		s.SetFaults(Faults{Refuse: func(string) error { return &Error{Code: "AccessDeniedException"} }})
		_, err = c.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: &one})
		wantCode(t, "planted", err, "AccessDeniedException")
	})
}

func TestStopAndRedrive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New()
		told := record(s)
		c := stepFunctions(t, s)
		machine := s.CreateStateMachine("m", func(a Attempt) Ending {
			if a.RedriveCount < 2 {
				return Ending{}
			}
			return Ending{After: time.Second, Status: "SUCCEEDED", Output: `1`}
		})
		begun := start(t, c, machine, "", "")
		stop := &sfn.StopExecutionInput{ExecutionArn: begun.ExecutionArn, Error: aws.String("E"), Cause: aws.String("why")}
		redrive := func() error { // the SDK writes a token into the input, so that each call needs its own
			_, err := c.RedriveExecution(t.Context(), &sfn.RedriveExecutionInput{ExecutionArn: begun.ExecutionArn})
			return err
		}
		for range 2 {
			pass(time.Minute)
			if _, err := c.StopExecution(t.Context(), stop); err != nil {
				t.Fatal(err)
			}
			got := describe(t, c, *begun.ExecutionArn)
			if got.Status != types.ExecutionStatusAborted || *got.Error != "E" || *got.Cause != "why" ||
				got.RedriveStatus != types.ExecutionRedriveStatusRedrivable || got.RedriveStatusReason != nil {
				t.Errorf("stopped: %+v", got)
			}
			pass(redrivablePeriod)
			wantCode(t, "redrive", redrive(), "")
		}
		again := describe(t, c, *begun.ExecutionArn)
		if again.Status != types.ExecutionStatusRunning || *again.RedriveCount != 2 || again.RedriveDate == nil ||
			again.StopDate != nil || again.Error != nil || !again.StartDate.Equal(*begun.StartDate) {
			t.Errorf("redriven: %+v", again)
		}
		pass(time.Second)
		synctest.Wait()
		if got := told.statuses(); got != "RUNNING ABORTED RUNNING ABORTED RUNNING SUCCEEDED" {
			t.Errorf("events %s", got)
		}
		wantCode(t, "redrive of a success", redrive(), "ExecutionNotRedrivable")
	})
}

func TestRedriveWindowAndToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New()
		c := stepFunctions(t, s)
		machine := s.CreateStateMachine("m", always(Ending{After: time.Second, Status: "TIMED_OUT"}))
		arn := start(t, c, machine, "x", "").ExecutionArn
		redrive := func(token string) error {
			_, err := c.RedriveExecution(t.Context(), &sfn.RedriveExecutionInput{ExecutionArn: arn, ClientToken: &token})
			return err
		}
		pass(2 * time.Second)
		wantCode(t, "first", redrive("a"), "")
		wantCode(t, "repeat of the call", redrive("a"), "")
		wantCode(t, "another call", redrive("b"), "ExecutionNotRedrivable")
		if got := *describe(t, c, *arn).RedriveCount; got != 1 {
			t.Errorf("redriven %d times", got)
		}
		pass(redrivablePeriod + 2*time.Second)
		wantCode(t, "too late", redrive("c"), "ExecutionNotRedrivable")
		if got := describe(t, c, *arn); got.RedriveStatus != types.ExecutionRedriveStatusNotRedrivable {
			t.Errorf("too late, but %s", got.RedriveStatus)
		}
		pass(historyPeriod)
		if _, known := s.Execution(*arn); !known {
			t.Error("forgotten without a reason")
		}
		start(t, c, machine, "x", "") // the name is free again
	})
}

func TestAutomaticRedrive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New()
		told := record(s)
		machine := s.CreateStateMachine("m", func(a Attempt) Ending {
			if a.RedriveCount == 0 {
				return Ending{After: time.Second, Status: "FAILED", Error: "E", Cause: "c", RedriveAfter: 2 * time.Second}
			}
			return Ending{After: time.Second, Status: "SUCCEEDED", Output: `1`}
		})
		begun, err := s.StartExecution(machine, "", "")
		if err != nil {
			t.Fatal(err)
		}
		pass(10 * time.Second)
		got, _ := s.Execution(begun.ARN)
		if got.Status != "SUCCEEDED" || got.RedriveCount != 1 || got.StopDate.Sub(got.StartDate) != 4*time.Second ||
			got.RedriveDate.Sub(got.StartDate) != 3*time.Second || told.statuses() != "RUNNING FAILED RUNNING SUCCEEDED" {
			t.Errorf("%s: %+v", told.statuses(), got)
		}
	})
}

func TestNothingHappensAfterShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New()
		told := record(s)
		machine := s.CreateStateMachine("m", always(Ending{After: time.Second, Status: "SUCCEEDED", Output: "1"}))
		if _, err := s.StartExecution(machine, "", ""); err != nil {
			t.Fatal(err)
		}
		s.Shutdown()
		pass(time.Hour)
		if got := told.statuses(); got != "RUNNING" {
			t.Errorf("events %s", got)
		}
	})
}

func TestOverTheNetwork(t *testing.T) {
	t.Parallel()
	s := New()
	listening := httptest.NewServer(s)
	defer listening.Close()
	defer s.Shutdown()
	c := awstest.StepFunctions(t, listening.URL)
	machine := s.CreateStateMachine("m", always(Ending{}))
	arn := *start(t, c, machine, "x", `{}`).ExecutionArn
	if got := describe(t, c, arn); got.Status != types.ExecutionStatusRunning {
		t.Errorf("%+v", got)
	}
	all, err := c.ListStateMachines(context.WithoutCancel(t.Context()), &sfn.ListStateMachinesInput{})
	if err != nil || len(all.StateMachines) != 1 || *all.StateMachines[0].StateMachineArn != machine {
		t.Errorf("%+v, %v", all, err)
	}
	one, err := c.DescribeStateMachine(t.Context(), &sfn.DescribeStateMachineInput{StateMachineArn: &machine})
	if err != nil || one.Status != types.StateMachineStatusActive || *one.Name != "m" || one.Type != types.StateMachineTypeStandard {
		t.Errorf("%+v, %v", one, err)
	}
}
