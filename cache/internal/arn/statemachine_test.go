package arn

import (
	"errors"
	"testing"
)

func TestPartsOfAStateMachineARN(t *testing.T) {
	t.Parallel()
	m, err := ParseStateMachine("arn:aws-us-gov:states:us-gov-west-1:123456789012:stateMachine:Pipeline")
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct{ got, want string }{
		"name":      {m.Name(), "Pipeline"},
		"region":    {m.Region(), "us-gov-west-1"},
		"account":   {m.Account(), "123456789012"},
		"execution": {string(m.Execution("abc")), "arn:aws-us-gov:states:us-gov-west-1:123456789012:execution:Pipeline:abc"},
		"child":     {string(m.Child("Map").Execution("abc")), "arn:aws-us-gov:states:us-gov-west-1:123456789012:execution:Pipeline/Map:abc"},
		"its name":  {m.Child("Map").Name(), "Pipeline/Map"},
		"no region": {StateMachine("Pipeline").Region(), ""},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", what, c.got, c.want)
		}
	}
	for _, machine := range []StateMachine{m, m.Child("Map")} {
		execution, err := Parse(string(machine.Execution("abc")))
		if err != nil || execution.StateMachine() != string(machine) || !execution.BelongsTo(string(m)) {
			t.Errorf("%s: the execution %s is of %s (%v)", machine, execution, execution.StateMachine(), err)
		}
	}
}

func TestParseStateMachineRefuses(t *testing.T) {
	t.Parallel()
	for what, s := range map[string]string{
		"empty":              "",
		"a name":             "Pipeline",
		"an execution":       "arn:aws:states:eu-west-1:123456789012:execution:Pipeline:abc",
		"a version":          "arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline:1",
		"without a name":     "arn:aws:states:eu-west-1:123456789012:stateMachine:",
		"the kind twice":     "arn:aws:states:eu-west-1:123456789012:stateMachine:stateMachine:Pipeline",
		"an account of text": "arn:aws:states:eu-west-1:mine:stateMachine:Pipeline",
		"another service":    "arn:aws:sqs:eu-west-1:123456789012:stateMachine:Pipeline",
		"white space":        " arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline",
	} {
		if m, err := ParseStateMachine(s); !errors.Is(err, ErrInvalidStateMachine) {
			t.Errorf("%s: %q, %v", what, m, err)
		}
	}
}
