//go:build linux && !race

package wire

import (
	"syscall"
	"unsafe"
)

// readSocket reads from a socket that does not block. It and writeSocket last for
// microseconds, so the scheduler is not notified; that would cost up to a tenth of a poll. b
// must not be empty.
func readSocket(fd uintptr, b []byte) (int, syscall.Errno) { return transfer(syscall.SYS_READ, fd, b) }

// writeSocket writes to a socket that does not block.
func writeSocket(fd uintptr, b []byte) (int, syscall.Errno) {
	return transfer(syscall.SYS_WRITE, fd, b)
}

func transfer(call, fd uintptr, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(call, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}
