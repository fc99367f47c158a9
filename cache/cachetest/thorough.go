package cachetest

import "os"

// Rounds returns how often a test repeats something: a few times, or many times if
// THOROUGH is set in the environment. The few times must be enough to detect the fault
// with certainty.
func Rounds(few, many int) int {
	if os.Getenv("THOROUGH") != "" {
		return many
	}
	return few
}
