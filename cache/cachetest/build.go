package cachetest

import (
	"runtime/debug"
	"strconv"
)

// BuildFlags returns the flags with which the go command built the test. With the same flags,
// most packages of a program of this project are compiled already.
func BuildFlags() []string {
	if underRaceDetector() {
		return []string{"-race"}
	}
	return nil
}

func underRaceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return false
	}
	for _, s := range info.Settings {
		if s.Key == "-race" {
			on, err := strconv.ParseBool(s.Value)
			return err == nil && on
		}
	}
	return false
}
