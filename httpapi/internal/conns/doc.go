// Package conns serves the ports of the service: it accepts, encrypts and ends the
// connections for package wire and net/http.
//
//	serve.go          Serve and ServeAdmin: one listener each, with its bounds and its shutdown
//	listener.go       the public listener: it accepts connections, and resets none when it closes
//	accepterrors.go   connections that cannot be accepted because no file descriptor is left
//	writelimit.go     how long a client may take to receive what is written
//	handover.go       connections that wire hands over to net/http
//	nethttperrors.go  the answers that net/http generates itself, in the form of our errors
//	tls.go            TLS below HTTP/1.1 and HTTP/2
//	http2.go          how many frames an HTTP/2 connection may send
//	frames.go         HTTP/2 frames
//	faults.go         faults of connections: counters and log lines
//
// Every connection of the public port begins in package wire. Most stay there; HTTP/2 and
// everything else that wire does not read goes to net/http, with all bytes. From the
// outside in, such a connection is
//
//	plainConn or tlsConn → unreadConn → [tls.Conn] → limitedConn → net.TCPConn
//
// The package knows no route and no token. It imports wire, and envelope for the form of
// errors.
package conns
