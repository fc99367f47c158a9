// Package conns is the connections of the service's ports: how they are accepted, read,
// written and closed around net/http.
//
//	serve.go        Serve and ServeAdmin: one listener each, with its bounds and its shutdown
//	faults.go       what goes wrong with connections: counters and log lines
//	listener.go     the public listener: it accepts connections, and loses none when it closes
//	accepterrors.go connections that cannot be accepted for want of file descriptors
//	preconnect.go   connections that clients open ahead of need
//	writelimit.go   the time a client has to take what is written
//	ownerrors.go    the answers that net/http gives by itself, in the form of our errors
//	tls.go          TLS below HTTP/1.1 and HTTP/2
//	http2.go        what a connection over HTTP/2 may cost, by the frames that it sends
//	frames.go       frames of HTTP/2
//	parked.go       the connection of a request that waits, taken out of net/http
//	parkedconns.go  all parked connections of a listener
//
// A connection is a stack. The public listener yields, from the outside:
//
//	tlsConn → preconnectConn → limitedConn → net.TCPConn
//
// A request that begins to wait over HTTP/1.1 calls Park: its connection leaves
// net/http, and comes back when the next request begins.
//
// The server uses Serve and ServeAdmin, Park, and Faults; all else is within. Callers,
// routes and waits stay outside, so that connections can be served in another
// way behind the same functions.
//
// The package knows no route and no token. It imports envelope, for the form of errors.
package conns
