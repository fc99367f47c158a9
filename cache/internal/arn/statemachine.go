package arn

import (
	"errors"
	"strings"
)

// ErrInvalidStateMachine means that a text is not the ARN of a state machine.
var ErrInvalidStateMachine = errors.New("not the ARN of a state machine")

// StateMachine is the ARN of a state machine:
//
//	arn:{aws…}:states:{region}:{account}:stateMachine:{machine}[/{label}]
//
// The label is that of a Distributed Map. The children of the map are executions of this state
// machine. For text from outside, use only ParseStateMachine.
type StateMachine string

const (
	machineKind   = ":stateMachine:"
	executionKind = ":execution:"
)

// ParseStateMachine checks s against the grammar of state machine ARNs. Its error is
// ErrInvalidStateMachine.
func ParseStateMachine(s string) (StateMachine, error) {
	m := StateMachine(s)
	execution, err := Parse(string(m.Execution("x")))
	if err != nil || execution.StateMachine() != s {
		return "", ErrInvalidStateMachine
	}
	return m, nil
}

// Execution returns the ARN of the execution with a name. "*" means all executions in an
// IAM policy.
func (m StateMachine) Execution(name string) Execution {
	return Execution(strings.Replace(string(m), machineKind, executionKind, 1) + ":" + name)
}

// Name returns the name, followed by a slash and the label for a Distributed Map. It does
// not contain the account, so metrics and public answers may use it.
func (m StateMachine) Name() string { return string(m[strings.LastIndexByte(string(m), ':')+1:]) }

// Child returns the ARN of the state machine of the children of a Distributed Map. The
// label is that of the Map state.
func (m StateMachine) Child(label string) StateMachine { return m + StateMachine("/"+label) }

// Region returns the region, such as eu-west-1.
func (m StateMachine) Region() string { return m.part(3) }

// Account returns the account: 12 digits.
func (m StateMachine) Account() string { return m.part(4) }

// part returns the i-th part between colons, empty if there are fewer parts.
func (m StateMachine) part(i int) string {
	parts := strings.SplitN(string(m), ":", i+2)
	if len(parts) <= i {
		return ""
	}
	return parts[i]
}
