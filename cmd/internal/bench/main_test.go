package main

import (
	"context"
	"errors"
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

func TestAFigureThatFailsCostsNoOther(t *testing.T) {
	t.Parallel()
	all := []figure{
		{"first", func(*bench, context.Context) ([]line, error) { return []line{{figure: "first"}}, nil }, false},
		{"broken", func(*bench, context.Context) ([]line, error) { return nil, errors.New("no files left") }, false},
		{"last", func(*bench, context.Context) ([]line, error) { return []line{{figure: "last"}}, nil }, false},
	}
	b := bench{progress: io.Discard}
	lines, err := b.measure(t.Context(), all, "")
	if len(lines) != 2 || err == nil || err.Error() != "broken: no files left" {
		t.Errorf("got %d lines and %v, want those of the other two and the error", len(lines), err)
	}
}
