package main

import (
	"io"
	"os"
	"strings"
	"testing"
)

// TestTheCommandsOfTheCutoverAreReal: each command of statusctl in deploy/README.md is one, with
// the flags and as many arguments as it takes.
func TestTheCommandsOfTheCutoverAreReal(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../deploy/README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for line := range strings.Lines(string(text)) {
		_, words, is := strings.Cut(line, "$ statusctl ")
		if !is {
			continue
		}
		found++
		args := strings.Fields(strings.ReplaceAll(words, "'CI of ada'", "CI"))
		cmd, rest, err := command(io.Discard).Find(args)
		if err == nil {
			err = cmd.ParseFlags(rest)
		}
		if err == nil {
			err = cmd.ValidateArgs(cmd.Flags().Args())
		}
		if err == nil {
			err = cmd.ValidateFlagGroups()
		}
		if err != nil || !cmd.Runnable() {
			t.Errorf("statusctl %s: %v", strings.TrimSpace(words), err)
		}
	}
	if found < 7 {
		t.Errorf("only %d commands were found", found)
	}
}
