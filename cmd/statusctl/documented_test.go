package main

import (
	"io"
	"testing"

	"statuscache/cmd/internal/apptest"
)

// TestDocumentedCommandsOfStatusctlExist: each command in a document has an existing
// subcommand, existing flags, and a valid number of arguments.
func TestDocumentedCommandsOfStatusctlExist(t *testing.T) {
	t.Parallel()
	calls := apptest.DocumentedCalls(t, "statusctl")
	for call, args := range calls {
		cmd, rest, err := command(io.Discard).Find(args)
		if err == nil {
			err = cmd.ParseFlags(rest)
		}
		if err == nil && len(cmd.Flags().Args()) > 0 { // a text may name a command without its arguments
			err = cmd.ValidateArgs(cmd.Flags().Args())
		}
		if err == nil {
			err = cmd.ValidateFlagGroups()
		}
		if err != nil {
			t.Errorf("%s: %v", call, err)
		}
	}
	if len(calls) < 30 {
		t.Errorf("only %d commands were found", len(calls))
	}
}
