// Package conns serves the ports of the service: it accepts, encrypts and ends the
// connections for package wire and net/http.
//
//	serve.go        Serve and ServeAdmin: one listener each, with its bounds and its shutdown
//	listener.go     the public listener: it accepts connections, and loses none when it closes
//	accepterrors.go connections that cannot be accepted because no file descriptor is left
//	writelimit.go   the time a client has to take what is written
//	handed.go       connections that wire hands over to net/http
//	ownerrors.go    the answers that net/http gives by itself, in the form of our errors
//	tls.go          TLS below HTTP/1.1 and HTTP/2
//	http2.go        what a connection over HTTP/2 may cost, by the frames that it sends
//	frames.go       frames of HTTP/2
//	faults.go       what goes wrong with connections: counters and log lines
//
// Every connection of the public port begins in package wire. Most end there; HTTP/2 and
// all else that wire does not read goes to net/http, with every byte. From the outside,
// such a connection is
//
//	plainConn or tlsConn → unreadConn → [tls.Conn] → limitedConn → net.TCPConn
//
// The package knows no route and no token. It imports wire, and envelope for the form of
// errors.
package conns
