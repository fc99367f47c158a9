package cache

import "statuscache/cache/internal/arn"

// ARNs of executions and state machines. For text from outside, use only ParseARN and
// ParseMachineARN.
type (
	ARN        = arn.Execution
	MachineARN = arn.StateMachine
)

// The errors for a text that is not an ARN.
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

// FindARN returns the ARN of an execution or of a state machine in a text, such as a URL
// of the AWS console; "" if there is none.
func FindARN(text string) string { return arn.Find(text) }
