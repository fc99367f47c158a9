//go:build unix

package app

import (
	"math"
	"syscall"
)

// maxFiles returns how many files this process may have open at once.
func maxFiles() uint64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return math.MaxUint64 // no limit is known
	}
	return uint64(limit.Cur)
}
