package app

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestTheREADMEListsEverySetting: its table is that of the settings, row by row.
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
	if want := settingsTable(); table != want {
		t.Errorf("the table of settings in the README is\n%s\n\nwant\n%s", table, want)
	}
}

func settingsTable() string {
	var rows []string
	for _, s := range settings {
		preset := ""
		if s.preset != "" {
			preset = "`" + s.preset + "`"
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |", s.name, preset, s.help))
	}
	return strings.Join(rows, "\n")
}
