package conns

import (
	"net"

	"golang.org/x/sys/unix"
)

// refuse makes the kernel drop the first packet of every new connection, so that none
// begins between the last accepted connection and the end of the listener. The client
// sends the packet again and finds the listener closed, or another process. If the kernel
// does not allow this, a connection may be reset.
func refuse(l *net.TCPListener) {
	const (
		flags    = 13 // the position of the flags in the TCP header
		syn, ack = 0x02, 0x10
	)
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: flags},
		{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: syn | ack},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: syn, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: 1<<32 - 1}, // all of the packet
	}
	raw, err := l.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
	})
}

// pending reports whether a connection is waiting to be accepted.
func pending(l *net.TCPListener) (there bool) {
	raw, err := l.SyscallConn()
	if err != nil {
		return false
	}
	_ = raw.Control(func(fd uintptr) {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		there = err == nil && n > 0
	})
	return there
}
