package operate

import (
	"strings"
	"testing"

	"statuscache/ingest/event"
)

const machineA, machineB = "arn:aws:states:eu-west-1:1:stateMachine:A", "arn:aws:states:eu-west-1:1:stateMachine:B"

// asking returns a pattern for status changes with more conditions.
func asking(detail string) string {
	return `{"source":["aws.states"],"detail-type":["` + event.DetailType + `"]` + detail + `}`
}

func ofMachines(entries string) string {
	return asking(`,"detail":{"stateMachineArn":[` + entries + `]}`)
}

// TestEventsThatAPatternMisses tries every status of a state machine and of the children of its
// Maps, and also redrives and outputs that were left out.
func TestEventsThatAPatternMisses(t *testing.T) {
	t.Parallel()
	samples, err := samplesOf([]string{machineA})
	must(t, err)
	const prefix = `"stateMachineArn":[{"prefix":"` + machineA + `"}]`
	status := func(list string) string { return asking(`,"detail":{"status":[` + list + `],` + prefix + `}`) }
	for pattern, want := range map[string]string{
		asking(""): "", ofMachines(`{"prefix":"` + machineA + `"}`): "",
		ofMachines(`{"wildcard":"*:stateMachine:A*"}`): "", ofMachines(`{"anything-but":"` + machineB + `"}`): "",
		ofMachines(`{"equals-ignore-case":"` + strings.ToUpper(machineA) + `"},{"suffix":"/Map"}`):                             "",
		status(`{"anything-but":"PENDING_REDRIVE"}`):                                                                           "",
		asking(`,"detail":{"$or":[{"status":["RUNNING"]},{"status":[{"anything-but":["RUNNING"]}]}]}`):                         "",
		asking(`,"detail":{"redriveCount":[{"numeric":[">=",0]}],"startDate":[{"exists":true}],"nothing":[{"exists":false}]}`): "",
		asking(`,"account":["1"],"region":["eu-west-1"]`):                                                                      "",

		ofMachines(`"` + machineA + `"`):                           "the events of " + machineA + "'s Map children",
		ofMachines(`{"prefix":"` + machineB + `"}`):                "the events of " + machineA,
		`{"source":["aws.ec2"]}`:                                   "the events of " + machineA,
		asking(`,"account":["2"]`):                                 "the events of " + machineA,
		status(`"RUNNING","SUCCEEDED","FAILED"`):                   "TIMED_OUT, ABORTED, TIMED_OUT of Map children, ABORTED of Map children of " + machineA,
		status(`{"suffix":"ED"}`):                                  "TIMED_OUT",
		status(`{"anything-but":{"prefix":"TIMED"}}`):              "TIMED_OUT",
		asking(`,"detail":{"redriveCount":[0]}`):                   "RUNNING after a redrive, FAILED after redrives, RUNNING of Map children after a redrive of " + machineA,
		asking(`,"detail":{"redriveCount":[{"numeric":["<",2]}]}`): "FAILED after redrives of " + machineA,
		asking(`,"detail":{"outputDetails":{"included":[true]}}`):  "SUCCEEDED with an output left out",
		asking(`,"detail":{"stateMachineVersionArn":[null]}`):      "RUNNING through a version of " + machineA,
		asking(`,"detail":{"error":[{"exists":true},null]}`):       "",
	} {
		left, err := unmatched([]string{pattern}, samples)
		must(t, err)
		got := ""
		if len(left) > 0 {
			got = nameSamples(left)
		}
		if (got == "") != (want == "") || !strings.HasPrefix(got, want) && !strings.Contains(got, want) {
			t.Errorf("%s\nmisses %q, want %q", pattern, got, want)
		}
	}
	if _, err := unmatched([]string{asking(`,"detail":{"status":[{"sounds-like":"x"}]}`)}, samples); err == nil {
		t.Error("an unknown comparison is accepted")
	}
}

// TestPatternsAreWidened only as far as necessary, and patterns of provision to its standard
// pattern.
func TestPatternsAreWidened(t *testing.T) {
	t.Parallel()
	samples, err := samplesOf([]string{machineA, machineB})
	must(t, err)
	const a, b = `{"prefix":"` + machineA + `"}`, `{"prefix":"` + machineB + `"}`
	for name, c := range map[string]struct {
		present string
		ours    bool
		want    string
	}{
		"one machine":              {ofMachines(a), true, ofMachines(a + "," + b)},
		"an exact one":             {ofMachines(`"` + machineA + `"`), true, ofMachines(`"` + machineA + `",` + a + "," + b)},
		"ours, narrowed":           {asking(`,"detail":{"status":["FAILED"],"stateMachineArn":[` + a + `]}`), true, ofMachines(a + "," + b)},
		"others' statuses":         {asking(`,"region":["eu-west-1"],"detail":{"status":["RUNNING","SUCCEEDED","FAILED"]}`), false, asking(`,"region":["eu-west-1"],"detail":{"status":["RUNNING","SUCCEEDED","FAILED","TIMED_OUT","ABORTED"]}`)},
		"others' machines":         {ofMachines(`{"suffix":"Z"},` + a), false, ofMachines(`{"suffix":"Z"},` + a + "," + b)},
		"others' both":             {asking(`,"detail":{"status":["RUNNING"],"stateMachineArn":[` + a + `]}`), false, asking(`,"detail":{"status":["RUNNING","SUCCEEDED","FAILED","TIMED_OUT","ABORTED"],"stateMachineArn":[` + a + "," + b + `]}`)},
		"others' other conditions": {asking(`,"detail":{"redriveCount":[0],"stateMachineArn":[` + a + `]}`), false, ofMachines(a + "," + b)},
	} {
		missing, err := unmatched([]string{c.present}, samples)
		must(t, err)
		if got, err := widen(c.present, missing, c.ours); err != nil || got != c.want {
			t.Errorf("%s: %v\ngot  %s\nwant %s", name, err, got, c.want)
		}
	}
	// Additional conditions of others are kept.
	for _, foreign := range []string{
		`{"source":["aws.ec2"]}`,
		`{"source":["aws.states","my.app"],"detail-type":["` + event.DetailType + `"],"detail":{"redriveCount":[0]}}`,
	} {
		missing, err := unmatched([]string{foreign}, samples)
		must(t, err)
		if got, err := widen(foreign, missing, false); err == nil {
			t.Errorf("%s becomes %s", foreign, got)
		}
	}
}
