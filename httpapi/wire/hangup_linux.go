package wire

import "golang.org/x/sys/unix"

// hangUps reports which sockets the other side has closed, completely or for writing,
// even if unread bytes come before that.
func hangUps(sockets []int32, report func(i int)) {
	const atOnce = 1024
	polls := make([]unix.PollFd, 0, min(len(sockets), atOnce))
	for first := 0; first < len(sockets); first += atOnce {
		polls = polls[:0]
		for _, fd := range sockets[first:min(len(sockets), first+atOnce)] {
			polls = append(polls, unix.PollFd{Fd: fd, Events: unix.POLLRDHUP})
		}
		if n, err := unix.Poll(polls, 0); err != nil || n == 0 {
			continue // interrupted: the next sweep looks again
		}
		for i := range polls {
			if polls[i].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0 {
				report(first + i)
			}
		}
	}
}
