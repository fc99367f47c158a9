//go:build !linux

package conns

import "net"

// refuse does nothing: a connection that begins just when the listener closes may
// be reset.
func refuse(*net.TCPListener) {}

// pending reports whether a connection is known to be there to be accepted.
func pending(*net.TCPListener) bool { return false }
