package main

import (
	"errors"
	"io"
	"testing"

	"github.com/spf13/pflag"

	"statuscache/cmd/internal/app"
	"statuscache/cmd/internal/apptest"
)

// TestDocumentedCommandsOfStatusdExist: each command in a document has an existing subcommand
// and existing flags.
func TestDocumentedCommandsOfStatusdExist(t *testing.T) {
	t.Parallel()
	calls := apptest.DocumentedCalls(t, "statusd")
	for call, args := range calls {
		cmd, rest, err := command(io.Discard, io.Discard, app.Program{}).Find(args)
		if err == nil {
			err = cmd.ParseFlags(rest)
		}
		if err == nil {
			err = cmd.ValidateArgs(cmd.Flags().Args())
		}
		if err != nil && !errors.Is(err, pflag.ErrHelp) {
			t.Errorf("%s: %v", call, err)
		}
	}
	if len(calls) < 5 {
		t.Errorf("only %d commands were found", len(calls))
	}
}
