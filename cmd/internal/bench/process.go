package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// clockTick is the unit of processor time in /proc: USER_HZ, which is 100 on
// every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// processorTime returns what processes have used, user and system together.
func processorTime(pids []int) (time.Duration, error) {
	var sum time.Duration
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, fmt.Errorf("a process that is measured has ended: %w", err)
		}
		used, err := parseStat(text)
		if err != nil {
			return 0, fmt.Errorf("process %d: %w", pid, err)
		}
		sum += used
	}
	return sum, nil
}

var errStat = errors.New("/proc/PID/stat is not as expected")

// parseStat returns utime and stime of a line of /proc/PID/stat together. The
// name of the program stands in parentheses and may hold anything, parentheses
// and spaces too.
func parseStat(text []byte) (time.Duration, error) {
	end := bytes.LastIndexByte(text, ')')
	if end < 0 {
		return 0, errStat
	}
	fields := bytes.Fields(text[end+1:]) // from the third on, which is the state
	const utime, stime = 14 - 3, 15 - 3
	if len(fields) <= stime {
		return 0, errStat
	}
	user, err1 := strconv.ParseUint(string(fields[utime]), 10, 63)
	system, err2 := strconv.ParseUint(string(fields[stime]), 10, 63)
	if err := errors.Join(err1, err2); err != nil {
		return 0, errStat
	}
	return time.Duration(user+system) * clockTick, nil
}
