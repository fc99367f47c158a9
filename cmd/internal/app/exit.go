package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Main runs the command of a program until it ends or a signal arrives. A second signal
// ends the program at once.
func Main(program string, command *cobra.Command) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	code := Exit(os.Stderr, program, command.ExecuteContext(ctx))
	stop()
	os.Exit(code)
}

// ExitError is an error with a specific exit code. Without Err nothing is printed.
type ExitError struct {
	Code int
	Err  error
}

// Error implements error.
func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

// Unwrap returns the error that is printed.
func (e *ExitError) Unwrap() error { return e.Err }

// Exit prints an error, one line for each mistake, and returns the exit code: 0 without
// an error, the code of an ExitError, otherwise 1.
func Exit(w io.Writer, program string, err error) int {
	if err == nil {
		return 0
	}
	code := 1
	if exit, ok := errors.AsType[*ExitError](err); ok {
		code, err = exit.Code, exit.Err
	}
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			if line = strings.TrimSpace(line); line != "" {
				_, _ = fmt.Fprintf(w, "%s: %s\n", program, line)
			}
		}
	}
	return code
}
