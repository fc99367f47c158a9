package tally

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed count.lua
var countSource string

// Script returns the source of count.lua with its constants. It is prepended to the
// scripts that change records. These take a fixed number of arguments for each execution;
// the argument number counts says what to count.
func Script(argumentsEach, counts int) string {
	return define("ARGS_EACH", argumentsEach) + define("COUNTS", counts) + constants() + countSource
}

// constants are shared by the scripts of this package and Go.
func constants() string {
	var b strings.Builder
	for _, each := range []struct {
		name  string
		value int
	}{
		{"KEPT_HOURS", KeptHours}, {"HOUR_DIGITS", HourDigits}, {"MACHINE_LENGTH", MachineLength},
		{"HEADER_LENGTH", HeaderLength}, {"ENTRY_LENGTH", EntryLength},
		{"MILLIS_DIGITS", MillisDigits}, {"GROUP_LENGTH", GroupLength}, {"SLOTS", Slots},
		{"MAX_GROUPS", MaxGroups}, {"MAX_EXAMPLES", MaxExamples},
	} {
		b.WriteString(define(each.name, each.value))
	}
	return b.String()
}

func define(name string, value int) string { return fmt.Sprintf("local %s = %d\n", name, value) }
