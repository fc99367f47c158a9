//go:build unix && (!linux || race)

package wire

import (
	"errors"
	"syscall"
)

// readSocket reads from a socket that does not block. Package syscall tells the race detector
// that what precedes a write also precedes the read at the other end.
func readSocket(fd uintptr, b []byte) (int, syscall.Errno) { return result(syscall.Read(int(fd), b)) }

// writeSocket writes to a socket that does not block.
func writeSocket(fd uintptr, b []byte) (int, syscall.Errno) { return result(syscall.Write(int(fd), b)) }

func result(n int, err error) (int, syscall.Errno) {
	errno, _ := errors.AsType[syscall.Errno](err)
	return max(n, 0), errno
}
