// Package wire serves the connections of the public port that speak HTTP/1.1: it reads
// requests, calls the handler, and writes the answers. For a poll this takes about half of
// the CPU time of net/http.
//
//	conn.go      a connection and its loop
//	polls*.go    the short way of polls without TLS
//	syscalls*.go reading and writing there
//	parse.go     which requests are read here; everything else is handed over to net/http
//	fields.go    header fields that have a meaning for a connection or a poll
//	request.go   from the head to an http.Request
//	response.go  the http.ResponseWriter
//	wait.go      requests that wait
//	input.go     what has been read from a connection; bodies
//	connstate.go how long each stage of a connection may last
//	server.go    all connections: the sweep every second, and the shutdown
//	hangup_*.go  clients that hang up while their request waits
//
// # Three kinds of requests
//
// A poll is a GET or HEAD of one execution in its simplest form, see pollTarget and
// fields.go. Its http.Request is built without net/http, and its connection reuses it for
// the next poll. Without TLS, polls are also read and written without the net package, see
// polls.go. All other requests within the grammar are ordinary. net/http parses them, and the
// rest is the same. A request outside the grammar is foreign: it goes to net/http with all
// bytes, and its connection stays there. Handlers notice no difference.
//
// # What a connection costs
//
// One goroutine works on a connection: it reads, calls the handler and writes. There is
// no second goroutine that checks for a hang-up, and no deadline is set for a request. A
// connection notes its stage and when the stage must end, and a sweep every second closes
// connections that are late. While nothing arrives there is no buffer.
//
// # A request that waits
//
// A handler that must wait calls Response.Detach and returns. The waiting request is
// continued on a new goroutine when the handler returns, and again when there may be a
// change; in between there is no goroutine. After the answer, the connection continues.
//
// # Safety
//
// If answers and requests got out of step, a caller would receive the answer of another
// caller. So the rules are strict. The grammar allows only one reading of each request,
// and net/http must agree with it. A body is read to its end, or the connection is
// closed. The connection is also closed after an answer that is shorter or longer than
// its head says, and after a panic. Reused parts contain nothing of the previous poll.
//
// The package knows no route and no token, and imports only envelope.
package wire
