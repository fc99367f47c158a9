package localaws

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/smithy-go"
	smithytime "github.com/aws/smithy-go/time"
	"github.com/go-json-experiment/json"
)

// TestPagesAreCompleteAndInOrder lists executions of every status with each filter. Pages have
// one execution, an odd number, and numbers around the default and around the total.
func TestPagesAreCompleteAndInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const executions = 130
		s := New()
		startMany(t, s, executions)
		for _, page := range []int32{0, 1, 7, defaultPage - 1, defaultPage, executions - 1, executions, executions + 1} {
			for _, status := range append(types.ExecutionStatusRunning.Values(), "") {
				for _, redriven := range []types.ExecutionRedriveFilter{"", "REDRIVEN", "NOT_REDRIVEN"} {
					err := checkPages(t, s, &sfn.ListExecutionsInput{
						StateMachineArn: aws.String(machineARN("m")), MaxResults: page, StatusFilter: status, RedriveFilter: redriven,
					})
					if err != nil {
						t.Errorf("%s, %s, pages of %d: %v", status, redriven, page, err)
					}
				}
			}
		}
	})
}

// startMany starts executions that end in every way, some of them in the same
// millisecond, and waits until they have.
func startMany(t *testing.T, s *Server, executions int) {
	machine := s.CreateStateMachine("m", func(a Attempt) Ending {
		status := []string{"", "SUCCEEDED", "FAILED", "TIMED_OUT"}[len(a.Input)%4]
		e := Ending{After: time.Millisecond, Status: status, Output: "1"}
		if a.RedriveCount == 0 && len(a.Input)%3 == 0 {
			e.RedriveAfter = time.Millisecond
		}
		return e
	})
	for n := range executions {
		if _, err := s.StartExecution(machine, fmt.Sprint(n), strings.Repeat(" ", n%12)+"1"); err != nil {
			t.Fatal(err)
		}
		if n%4 != 0 {
			pass(time.Millisecond)
		}
	}
	pass(time.Second)
}

// checkPages compares all pages of a list with the truth.
func checkPages(t *testing.T, s *Server, in *sfn.ListExecutionsInput) error {
	listed, err := listAll(t, stepFunctions(t, s), in)
	if err != nil {
		return err
	}
	want := 0
	for e := range s.Executions() {
		if (in.StatusFilter != "" && string(in.StatusFilter) != e.Status) ||
			(in.RedriveFilter != "" && (in.RedriveFilter == "REDRIVEN") != (e.RedriveCount > 0)) {
			continue
		}
		if want++; !listed[e.ARN] {
			return fmt.Errorf("%s is missing", e.ARN)
		}
	}
	if len(listed) != want {
		return fmt.Errorf("%d are listed, want %d", len(listed), want)
	}
	return nil
}

// listAll returns the ARNs on all pages of a list, and checks their order.
func listAll(t *testing.T, c *sfn.Client, in *sfn.ListExecutionsInput) (map[string]bool, error) {
	seen := map[string]bool{}
	last, size := time.Now(), cmp.Or(int(in.MaxResults), defaultPage)
	for {
		out, err := c.ListExecutions(t.Context(), in)
		if err != nil {
			return nil, err
		}
		if n := len(out.Executions); n > size || out.NextToken != nil && n < size {
			return nil, fmt.Errorf("%d on a page of %d", n, size)
		}
		for _, e := range out.Executions {
			if seen[*e.ExecutionArn] || e.StartDate.After(last) {
				return nil, fmt.Errorf("%s twice or out of order", *e.ExecutionArn)
			}
			seen[*e.ExecutionArn], last = true, *e.StartDate
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return seen, nil
		}
	}
}

func TestListRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New()
		c := stepFunctions(t, s)
		machine := s.CreateStateMachine("m", always(Ending{}))
		for n := range 3 {
			start(t, c, machine, fmt.Sprint(n), `{}`)
		}
		first, err := c.ListExecutions(t.Context(), &sfn.ListExecutionsInput{StateMachineArn: &machine, MaxResults: 1})
		if err != nil || len(first.Executions) != 1 || *first.Executions[0].Name != "2" {
			t.Fatalf("%+v, %v", first, err)
		}
		list := func(what, code string, in *sfn.ListExecutionsInput) {
			t.Helper()
			_, err := c.ListExecutions(t.Context(), in)
			wantCode(t, what, err, code)
		}
		list("no such machine", "StateMachineDoesNotExist", &sfn.ListExecutionsInput{StateMachineArn: aws.String(machine + "x")})
		list("not an ARN", "InvalidArn", &sfn.ListExecutionsInput{StateMachineArn: aws.String("m")})
		list("page of 1001", "ValidationException", &sfn.ListExecutionsInput{StateMachineArn: &machine, MaxResults: 1001})
		list("status", "ValidationException", &sfn.ListExecutionsInput{StateMachineArn: &machine, StatusFilter: "DONE"})
		list("redrives", "ValidationException", &sfn.ListExecutionsInput{StateMachineArn: &machine, RedriveFilter: "ALL"})
		list("made-up token", "InvalidToken", &sfn.ListExecutionsInput{StateMachineArn: &machine, NextToken: aws.String("x")})
		list("token of another list", "InvalidToken", &sfn.ListExecutionsInput{StateMachineArn: &machine, NextToken: first.NextToken, StatusFilter: "FAILED"})
		pass(tokenValid)
		list("token of 24 h", "", &sfn.ListExecutionsInput{StateMachineArn: &machine, NextToken: first.NextToken})
		pass(time.Second)
		list("older token", "InvalidToken", &sfn.ListExecutionsInput{StateMachineArn: &machine, NextToken: first.NextToken})
	})
}

func TestReadersLagBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New()
		s.SetLag(2 * time.Second)
		c := stepFunctions(t, s)
		machine := s.CreateStateMachine("m", always(Ending{After: time.Second, Status: "SUCCEEDED", Output: "1"}))
		arn := start(t, c, machine, "x", "").ExecutionArn
		look := func() (described, listed string) {
			one, err := c.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: arn})
			if missing, ok := errors.AsType[smithy.APIError](err); ok {
				described = missing.ErrorCode()
			} else {
				described = string(one.Status)
			}
			all, err := c.ListExecutions(t.Context(), &sfn.ListExecutionsInput{StateMachineArn: &machine})
			if err != nil {
				t.Fatal(err)
			}
			if len(all.Executions) > 0 {
				listed = string(all.Executions[0].Status)
			}
			return described, listed
		}
		for _, want := range [][2]string{ // each second, just after its beginning
			{"ExecutionDoesNotExist", ""}, {"ExecutionDoesNotExist", ""}, {"RUNNING", "RUNNING"}, {"SUCCEEDED", "SUCCEEDED"},
		} {
			pass(time.Millisecond)
			if described, listed := look(); described != want[0] || listed != want[1] {
				t.Errorf("%s and %q, want %v", described, listed, want)
			}
			pass(time.Second - time.Millisecond)
		}
	})
}

func TestThrottling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New()
		c := stepFunctions(t, s)
		arn := start(t, c, s.CreateStateMachine("m", always(Ending{})), "x", "").ExecutionArn
		allowed := func(calls int) (n int) {
			for range calls {
				_, err := c.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: arn})
				if err == nil {
					n++
					continue
				}
				wantCode(t, "throttled", err, "ThrottlingException")
			}
			return n
		}
		if got := allowed(1000); got != 1000 {
			t.Errorf("without limits %d of 1000", got)
		}
		s.SetThrottling(RealThrottling())
		if got := allowed(400); got != 300 {
			t.Errorf("a full bucket gave %d, want 300", got)
		}
		pass(2 * time.Second)
		if got := allowed(100); got != 30 {
			t.Errorf("after 2 s %d, want 30", got)
		}
		limits := RealThrottling()
		limits.RefuseFor = 10 * time.Second
		s.SetThrottling(limits)
		allowed(301)
		pass(9 * time.Second)
		if got := allowed(10); got != 0 {
			t.Errorf("while it lasts on: %d", got)
		}
		pass(time.Second)
		if got := allowed(1); got != 1 {
			t.Error("it never ends")
		}
	})
}

func TestTheOldestClosedAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New()
		s.SetKept(2)
		machine := s.CreateStateMachine("m", func(a Attempt) Ending {
			if a.Name == "open" {
				return Ending{}
			}
			return Ending{After: time.Second, Status: "SUCCEEDED", Output: "1"}
		})
		for _, name := range []string{"open", "1", "2", "3", "4"} {
			if _, err := s.StartExecution(machine, name, ""); err != nil {
				t.Fatal(err)
			}
			pass(2 * time.Second)
		}
		for name, want := range map[string]bool{"open": true, "1": false, "2": false, "3": true, "4": true} {
			if _, known := s.Execution(executionARN("m", name)); known != want {
				t.Errorf("%s known: %v", name, known)
			}
		}
		if s.SetKept(0); len(s.states.executions) != 1 || s.states.machines[machine].executions.Len() != 1 {
			t.Error("not forgotten at once")
		}
	})
}

// TestDatesSurviveTheSDK: the protocol has dates in seconds, which the SDK reads as a
// floating-point number. This is exact up to the end of 2037.
func TestDatesSurviveTheSDK(t *testing.T) {
	t.Parallel()
	from, to := time.Date(2014, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2038, 1, 1, 0, 0, 0, 0, time.UTC)
	random := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		ms := from.UnixMilli() + random.Int64N(to.UnixMilli()-from.UnixMilli())
		text, err := json.Marshal(date{time.UnixMilli(ms)})
		if err != nil {
			t.Fatal(err)
		}
		var seconds float64
		if err := json.Unmarshal(text, &seconds); err != nil {
			t.Fatal(err)
		}
		if got := smithytime.ParseEpochSeconds(seconds).UnixMilli(); got != ms {
			t.Fatalf("%d ms came out as %d", ms, got)
		}
	}
}

// FuzzStates sends malformed requests: the answer is always a result or a client error, in
// JSON.
func FuzzStates(f *testing.F) {
	const machine = `"stateMachineArn":"arn:aws:states:eu-west-1:000000000000:stateMachine:m"`
	const execution = `"executionArn":"arn:aws:states:eu-west-1:000000000000:execution:m:x"`
	for _, seed := range [][2]string{
		{"StartExecution", `{` + machine + `,"name":"y","input":"{}"}`},
		{"DescribeExecution", `{` + execution + `}`},
		{"ListExecutions", `{` + machine + `,"maxResults":1,"statusFilter":"RUNNING","nextToken":"MSAyIHg"}`},
		{"StopExecution", `{` + execution + `,"error":"E","cause":"c"}`},
		{"RedriveExecution", `{` + execution + `,"clientToken":"t"}`},
		{"DescribeStateMachine", `{` + machine + `}`},
		{"ListStateMachines", `{}`},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, action, body string) {
		s := New()
		defer s.Shutdown()
		if _, err := s.StartExecution(s.CreateStateMachine("m", always(Ending{})), "x", ""); err != nil {
			t.Fatal(err)
		}
		answer := postStates(s, action, body)
		if answer.Code != 200 && answer.Code != 400 {
			t.Errorf("status %d: %s", answer.Code, answer.Body)
		}
		var result map[string]any
		if err := json.Unmarshal(answer.Body.Bytes(), &result); err != nil {
			t.Errorf("not JSON: %q", answer.Body)
		}
	})
}

// postStates sends a request unchanged, without an SDK.
func postStates(s *Server, action, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", "AWSStepFunctions."+action)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}
