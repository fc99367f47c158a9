package localaws

import (
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"statuscache/ingest/awstest"
)

func TestLifeOfASuccess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New()
		reported := record(s)
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
		last := reported.all()[1].Detail
		if reported.statuses() != "RUNNING SUCCEEDED" || last.StartDate != begun.StartDate.UnixMilli() || *last.StopDate != got.StopDate.UnixMilli() ||
			*last.Output != *got.Output || *last.Input != *got.Input {
			t.Errorf("events %+v", reported.all())
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
			{machine, "one", `{}`, ""}, // it is running, with the same input
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
		reported := record(s)
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
		if got := reported.statuses(); got != "RUNNING ABORTED RUNNING ABORTED RUNNING SUCCEEDED" {
			t.Errorf("events %s", got)
		}
		wantCode(t, "redrive of a success", redrive(), "ExecutionNotRedrivable")
		late, err := c.StopExecution(t.Context(), stop)
		if got, _ := s.Execution(*begun.ExecutionArn); err != nil || got.Status != "SUCCEEDED" || !late.StopDate.Equal(got.StopDate) {
			t.Errorf("stopped when it was over: %+v, %v; %+v", late, err, got)
		}
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
		reported := record(s)
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
			got.RedriveDate.Sub(got.StartDate) != 3*time.Second || reported.statuses() != "RUNNING FAILED RUNNING SUCCEEDED" {
			t.Errorf("%s: %+v", reported.statuses(), got)
		}
	})
}

func TestNothingHappensAfterShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New()
		reported := record(s)
		machine := s.CreateStateMachine("m", always(Ending{After: time.Second, Status: "SUCCEEDED", Output: "1"}))
		if _, err := s.StartExecution(machine, "", ""); err != nil {
			t.Fatal(err)
		}
		s.Shutdown()
		pass(time.Hour)
		if got := reported.statuses(); got != "RUNNING" {
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
	all, err := c.ListStateMachines(t.Context(), &sfn.ListStateMachinesInput{})
	if err != nil || len(all.StateMachines) != 1 || *all.StateMachines[0].StateMachineArn != machine {
		t.Errorf("%+v, %v", all, err)
	}
	one, err := c.DescribeStateMachine(t.Context(), &sfn.DescribeStateMachineInput{StateMachineArn: &machine})
	if err != nil || one.Status != types.StateMachineStatusActive || *one.Name != "m" || one.Type != types.StateMachineTypeStandard {
		t.Errorf("%+v, %v", one, err)
	}
}

// TestTheEndOfAnEarlierAttemptDoesNotEndARedrive stops an execution early and redrives it.
// Later a call with the same token repeats the redrive.
func TestTheEndOfAnEarlierAttemptDoesNotEndARedrive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New()
		machine := s.CreateStateMachine("m", func(a Attempt) Ending {
			if a.RedriveCount > 0 {
				return Ending{}
			}
			return Ending{After: 10 * time.Second, Status: "FAILED"}
		})
		begun, err := s.StartExecution(machine, "", "")
		if err != nil {
			t.Fatal(err)
		}
		for want := 1; want <= 2; want++ {
			pass(time.Second)
			if _, err := s.states.stop(begun.ARN, "", ""); err != nil {
				t.Fatal(err)
			}
			if _, err := s.states.redrive(begun.ARN, "token"); err != nil {
				t.Fatal(err)
			}
			pass(redriveTokenValid)
			if got, _ := s.Execution(begun.ARN); got.Status != "RUNNING" || got.RedriveCount != want {
				t.Errorf("%s after %d redrives, want RUNNING after %d", got.Status, got.RedriveCount, want)
			}
		}
	})
}
