package app

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"statuscache/cache/cachetest"
)

// TestTheREADMEListsEverySetting: its table equals the table of settings, row by row. A name in
// it is a promise to operators.
func TestTheREADMEListsEverySetting(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(readme), "| setting | default | |\n|---|---|---|\n")
	table, _, ended := strings.Cut(rest, "\n\n")
	if !found || !ended {
		t.Fatal("the README has no table of settings")
	}
	if want := settingsTable(t); table != want {
		t.Errorf("the table of settings in the README is\n%s\n\nwant\n%s", table, want)
	}
}

func settingsTable(t *testing.T) string {
	t.Helper()
	var rows []string
	for _, s := range settings {
		if s.help == "" {
			t.Errorf("%s has no help", s.name)
		}
		preset := ""
		if s.preset != "" {
			preset = "`" + s.preset + "`"
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |", s.name, preset, s.help))
	}
	return strings.Join(rows, "\n")
}

// TestTheREADMEDrawsTheArrows: its block lists which other packages each package imports,
// without the packages that only tests use.
func TestTheREADMEDrawsTheArrows(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "go list")
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(readme), "A package may import only the packages to the right of its arrow:\n\n```\n")
	drawn, _, ended := strings.Cut(rest, "```")
	if !found || !ended {
		t.Fatal("the README draws no arrows")
	}
	if want := arrows(t); drawn != want {
		t.Errorf("the arrows in the README are\n%s\nwant\n%s", drawn, want)
	}
}

var forTests = regexp.MustCompile(`test$|^cmd/internal/(bench(/.*)?|apptest)$|/localaws$|^cmd/statusdev$`)

func arrows(t *testing.T) string {
	t.Helper()
	list := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "statuscache/...")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		var ours []string
		for _, imported := range fields[1:] {
			if name, is := strings.CutPrefix(imported, "statuscache/"); is {
				ours = append(ours, name)
			}
		}
		if name := strings.TrimPrefix(fields[0], "statuscache/"); !forTests.MatchString(name) {
			rows = append(rows, strings.TrimSpace(fmt.Sprintf("%-29s → %s", name, strings.Join(ours, ", "))))
		}
	}
	return strings.Join(rows, "\n") + "\n"
}
