package cache

import "statuscache/cache/internal/arn"

// ARNs of executions and state machines. Only ParseARN and ParseMachineARN make one from
// text that came from outside.
type (
	ARN        = arn.Execution
	MachineARN = arn.StateMachine
)

// What is wrong with a text that is no ARN.
var (
	ErrInvalidARN        = arn.ErrInvalid
	ErrInvalidMachineARN = arn.ErrInvalidStateMachine
)

// ParseARN checks s against the grammar of execution ARNs. Its error wraps ErrInvalidARN
// and says which part is wrong; it never quotes s.
func ParseARN(s string) (ARN, error) { return arn.Parse(s) }

// ParseMachineARN checks s against the grammar of state machine ARNs. Its error is
// ErrInvalidMachineARN.
func ParseMachineARN(s string) (MachineARN, error) { return arn.ParseStateMachine(s) }
