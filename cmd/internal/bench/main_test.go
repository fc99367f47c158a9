package main

import (
	"io"
	"strings"
	"testing"
)

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"no rounds":         {[]string{"-rounds", "0"}, "at least one round"},
		"an argument":       {[]string{"fast"}, "no arguments"},
		"an unknown figure": {[]string{"-only", "x"}, "there are hot, tls, proxied, miss"},
		"few records":       {[]string{"-records", "10"}, "1000 records"},
		"an unknown flag":   {[]string{"-x"}, "exit code 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := run(t.Context(), c.args, io.Discard, io.Discard)
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, c.says)
			}
		})
	}
	if err := run(t.Context(), []string{"--help"}, io.Discard, io.Discard); err != nil {
		t.Errorf("--help: %v", err)
	}
}
