package main

import (
	"statuscache/cmd/internal/app"
	"statuscache/cmd/internal/hints"
	"statuscache/httpapi/client"
)

// Exit codes of the commands that read an execution.
const (
	exitFailed      = 1
	exitCouldNotAsk = 2
	exitTimedOut    = 3
	exitAborted     = 4
	exitStillRuns   = 124
)

// couldNotAsk gives an error a separate exit code, because 1 means that the execution has
// failed.
func couldNotAsk(err error) error {
	if err == nil {
		return nil
	}
	return &app.ExitError{Code: exitCouldNotAsk, Err: hints.With(err)}
}

// exitCode is an error that carries the code of a state, nil for success.
func exitCode(e *client.Execution) error {
	switch {
	case e.Status == "SUCCEEDED":
		return nil
	case e.Status == "RUNNING":
		return &app.ExitError{Code: exitStillRuns}
	case e.ExecutionStatus == "TIMED_OUT":
		return &app.ExitError{Code: exitTimedOut}
	case e.ExecutionStatus == "ABORTED":
		return &app.ExitError{Code: exitAborted}
	}
	return &app.ExitError{Code: exitFailed}
}
