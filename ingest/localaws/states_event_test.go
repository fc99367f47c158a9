package localaws

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"
)

func TestEveryEventHasAllKeys(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 26, 8, 0, 0, 123e6, time.UTC)
	for _, status := range []string{running, succeeded, failed, timedOut, aborted} {
		state := ExecutionState{ARN: executionARN("m", "x"), Name: "x", Status: status, StartDate: start, Input: `{}`}
		if status != running {
			state.StopDate = start.Add(42 * time.Second)
		}
		text, err := state.event()
		if err != nil {
			t.Fatal(err)
		}
		var event struct {
			Time      string         `json:"time"`
			Resources []string       `json:"resources"`
			Detail    map[string]any `json:"detail"`
		}
		if err := json.Unmarshal(text, &event); err != nil {
			t.Fatal(err)
		}
		if len(event.Detail) != 18 || event.Detail["startDate"] != 1769414400123.0 || len(event.Resources) != 1 {
			t.Errorf("%s: %s", status, text)
		}
		if want := map[bool]string{true: "2026-01-26T08:00:00Z", false: "2026-01-26T08:00:42Z"}[status == running]; event.Time != want {
			t.Errorf("%s: time %s, want %s", status, event.Time, want)
		}
		redrivable := status == failed || status == timedOut || status == aborted
		if (event.Detail["redriveStatus"] == "REDRIVABLE") != redrivable || (event.Detail["redriveStatusReason"] == nil) != redrivable {
			t.Errorf("%s: %s", status, text)
		}
		for _, key := range []string{"output", "outputDetails", "error", "cause", "redriveDate", "stateMachineVersionArn", "stateMachineAliasArn"} {
			if event.Detail[key] != nil {
				t.Errorf("%s: %s is not null", status, key)
			}
		}
	}
}

// TestValuesThatDoNotFitAreLeftOut measures lengths in the event, where a quotation mark takes
// two bytes.
func TestValuesThatDoNotFitAreLeftOut(t *testing.T) {
	t.Parallel()
	const limit = 248 << 10
	plain := func(n int) string { return strings.Repeat("a", n) }
	for name, test := range map[string]struct {
		input, output     string
		hasInput, hasMore bool
	}{
		"both fit":                {plain(limit - 100), plain(100), true, true},
		"together too long":       {plain(limit - 100), plain(101), false, true},
		"output alone fits":       {"{}", plain(limit - 1), false, true},
		"output too long":         {"{}", plain(limit + 1), false, false},
		"input alone too long":    {plain(limit + 1), "", false, false},
		"quotation marks":         {"{}", strings.Repeat(`"`, limit/2+1), false, false},
		"quotation marks that do": {"", strings.Repeat(`"`, limit/2), true, true},
	} {
		text, err := (&ExecutionState{Status: succeeded, Input: test.input, Output: test.output}).event()
		var event statusEvent
		if err != nil || json.Unmarshal(text, &event) != nil {
			t.Fatalf("%s: %v", name, err)
		}
		d := event.Detail
		if (d.Input != nil) != test.hasInput || d.InputDetails.Included != test.hasInput || (d.Output != nil) != test.hasMore ||
			(d.OutputDetails != nil) != (test.output != "") || (d.OutputDetails != nil && d.OutputDetails.Included != test.hasMore) {
			t.Errorf("%s: input %v, output %v", name, d.InputDetails, d.OutputDetails)
		}
	}
}

// TestAnOutputThatIsTooLongFails its execution, as in Step Functions.
func TestAnOutputThatIsTooLongFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New()
		output := `"` + strings.Repeat("a", maxPayloadBytes-1) + `"`
		machine := s.CreateStateMachine("m", always(Ending{After: time.Second, Status: "SUCCEEDED", Output: output}))
		begun, err := s.StartExecution(machine, "", "")
		if err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		if got, _ := s.Execution(begun.ARN); got.Status != "FAILED" || got.Error != "States.DataLimitExceeded" || got.Output != "" {
			t.Errorf("%s %s", got.Status, got.Error)
		}
	})
}

func rank(status string) int {
	if status == running {
		return 0
	}
	return 1
}

// TestTheHighestEventIsTheTruth: executions fail, are redriven and are stopped at random, while
// events are duplicated and overtake each other. The event with the highest redrive count and
// rank equals the answer of DescribeExecution.
func TestTheHighestEventIsTheTruth(t *testing.T) {
	t.Parallel()
	type life struct {
		Runs    []int // seconds for which each attempt runs; 0: until it is stopped
		Stopped int   // seconds
	}
	lives := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) life {
		return life{
			rapid.SliceOfN(rapid.IntRange(0, 5), 1, 4).Draw(t, "runs"),
			rapid.IntRange(1, 20).Draw(t, "stopped"),
		}
	}), 1, 5)
	rapid.Check(t, func(draw *rapid.T) {
		all := lives.Draw(draw, "lives")
		var err error
		synctest.Test(t, func(t *testing.T) {
			s := New()
			reported := record(s)
			s.SetEmission(Emission{Seed: 7, Duplicates: .3, MaxDelay: 3 * time.Second, Late: .2, MaxLate: 20 * time.Second})
			machine := s.CreateStateMachine("m", func(a Attempt) Ending {
				n, err := strconv.Atoi(a.Name)
				if err != nil {
					panic(err)
				}
				runs := all[n].Runs
				e := Ending{After: time.Duration(runs[a.RedriveCount]) * time.Second, Status: "FAILED", Error: "E", RedriveAfter: time.Second}
				switch {
				case e.After == 0:
					return Ending{}
				case a.RedriveCount == len(runs)-1:
					e.Status, e.Output, e.Error = "SUCCEEDED", "1", ""
				}
				return e
			})
			for n, life := range all {
				begun, startErr := s.StartExecution(machine, fmt.Sprint(n), "")
				if startErr != nil {
					t.Fatal(startErr)
				}
				time.AfterFunc(time.Duration(life.Stopped)*time.Second, func() {
					s.states.stop(begun.ARN, "", "") //nolint:errcheck // it may have ended
				})
			}
			pass(2 * time.Minute)
			err = compareWithTruth(t, s, reported.all())
		})
		if err != nil {
			draw.Error(err)
		}
	})
}

func compareWithTruth(t *testing.T, s *Server, events []statusEvent) error {
	c := stepFunctions(t, s)
	for truth := range s.Executions() {
		of := slices.DeleteFunc(slices.Clone(events), func(e statusEvent) bool { return e.Detail.ExecutionARN != truth.ARN })
		if len(of) == 0 {
			return fmt.Errorf("no event of %s", truth.Name)
		}
		highest := slices.MaxFunc(of, func(a, b statusEvent) int {
			return 2*(a.Detail.RedriveCount-b.Detail.RedriveCount) + rank(a.Detail.Status) - rank(b.Detail.Status)
		}).Detail
		described := describe(t, c, truth.ARN)
		if string(described.Status) != highest.Status || int(*described.RedriveCount) != highest.RedriveCount ||
			described.StartDate.UnixMilli() != highest.StartDate || (described.StopDate != nil) != (highest.StopDate != nil) ||
			described.StopDate != nil && described.StopDate.UnixMilli() != *highest.StopDate {
			return fmt.Errorf("described %+v, highest event %+v", described, highest)
		}
	}
	return nil
}

// TestEmissionFaultsHaveTheirRateAndAreRepeatable counts lost and duplicated events. A second
// run must lose and duplicate the same events.
func TestEmissionFaultsHaveTheirRateAndAreRepeatable(t *testing.T) {
	t.Parallel()
	const executions = 500
	for name, test := range map[string]struct {
		emission   Emission
		lost, more int // of 2000 events: RUNNING and FAILED, RUNNING and SUCCEEDED
	}{
		"as it is":              {Emission{}, 0, 0},
		"loss":                  {Emission{Loss: .1}, 200, 0},
		"loss of executions":    {Emission{LossOfExecution: .1}, 200, 0},
		"loss of redrives":      {Emission{LossOfRedrive: .1}, 100, 0},
		"duplicates":            {Emission{Duplicates: .1}, 0, 200},
		"everything":            {Emission{Loss: 1}, 2000, 0},
		"delays lose no events": {Emission{MinDelay: time.Second, MaxDelay: time.Minute, Late: .5, MaxLate: time.Hour}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := emitted(t, executions, test.emission)
			near := func(got, want int) bool { return got >= want*3/4 && got <= want*5/4 }
			if !near(first.Lost, test.lost) || !near(first.Duplicated, test.more) ||
				first.Published != 4*executions-first.Lost+first.Duplicated {
				t.Errorf("%+v", first)
			}
			if second := emitted(t, executions, test.emission); second != first {
				t.Errorf("first %+v, then %+v", first, second)
			}
		})
	}
}

// emitted counts the events of executions that fail, are redriven and succeed.
func emitted(t *testing.T, executions int, e Emission) (counts Emitted) {
	synctest.Test(t, func(t *testing.T) {
		s := New()
		s.SetEmission(e)
		machine := s.CreateStateMachine("m", func(a Attempt) Ending {
			if a.RedriveCount == 0 {
				return Ending{After: time.Second, Status: "FAILED", RedriveAfter: time.Second}
			}
			return Ending{After: time.Second, Status: "SUCCEEDED", Output: "1"}
		})
		for n := range executions {
			if _, err := s.StartExecution(machine, fmt.Sprint(n), ""); err != nil {
				t.Fatal(err)
			}
		}
		pass(3 * time.Hour)
		counts = s.Emitted()
	})
	return counts
}
