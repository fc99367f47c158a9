//go:build !linux

package conns

import "net"

// refuse does nothing: a connection that begins exactly when the listener closes may be
// reset.
func refuse(*net.TCPListener) {}

// pending reports whether a connection is known to be waiting.
func pending(*net.TCPListener) bool { return false }
