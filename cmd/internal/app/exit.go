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

// Main runs the command of a program until it ends or the program is asked to by
// a signal. A second signal ends it at once.
func Main(program string, command *cobra.Command) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	code := Exit(os.Stderr, program, command.ExecuteContext(ctx))
	stop()
	os.Exit(code)
}

// ExitError is an error that wants a certain exit code. Without Err nothing is
// printed.
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

// Unwrap returns what is printed.
func (e *ExitError) Unwrap() error { return e.Err }

// Exit prints an error, a line for each mistake, and returns the exit code that
// a program ends with: 0 without an error, else 1 if it does not want another.
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
