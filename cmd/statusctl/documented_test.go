package main

import (
	"io"
	"testing"

	"statuscache/cmd/internal/apptest"
)

// TestDocumentedCommandsOfStatusctlExist: each command that a document shows has its verb, its
// flags, and as many arguments as it takes.
func TestDocumentedCommandsOfStatusctlExist(t *testing.T) {
	t.Parallel()
	calls := apptest.DocumentedCalls(t, "statusctl")
	for call, args := range calls {
		cmd, rest, err := command(io.Discard).Find(args)
		if err == nil {
			err = cmd.ParseFlags(rest)
		}
		if err == nil && len(cmd.Flags().Args()) > 0 { // a text may name a command without what it takes
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
