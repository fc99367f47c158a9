package cachetest

import "os"

// Rounds returns how often a test repeats something: a few times, or many where THOROUGH
// is set in the environment, as it is for make test-stress. A few must be enough for
// the test to fail for certain where its control does.
func Rounds(few, many int) int {
	if os.Getenv("THOROUGH") != "" {
		return many
	}
	return few
}
