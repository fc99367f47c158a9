package localaws

var (
	errNoMachine         = &Error{Code: "StateMachineDoesNotExist", Message: "there is no such state machine"}
	errNoExecution       = &Error{Code: "ExecutionDoesNotExist", Message: "there is no such execution"}
	errExecutionExists   = &Error{Code: "ExecutionAlreadyExists", Message: "an execution of this name exists with another input, or is closed"}
	errTooManyExecutions = &Error{Code: "ExecutionLimitExceeded", Message: "there are 1000000 executions"}
	errName              = &Error{Code: "InvalidName", Message: "a name has 1 to 80 characters and none of white space, controls and <>{}[]?*\"#%\\^|~`$&,;:/"}
	errARN               = &Error{Code: "InvalidArn", Message: "not an ARN of Step Functions of the required kind"}
	errInput             = &Error{Code: "InvalidExecutionInput", Message: "the input must be JSON of at most 262144 bytes"}
	errToken             = &Error{Code: "InvalidToken", Message: "the token is not one of these lists, or older than 24 hours"}
	errTooManyCalls      = &Error{Code: "ThrottlingException", Message: "Rate exceeded"}
)

func validationError(what string) *Error {
	return &Error{Code: "ValidationException", Message: what}
}
