// Package wire serves the connections of the public port that speak HTTP/1.1: it reads
// requests, calls the handler, and writes the answers. For a poll that costs about half of
// what net/http takes to write the same.
//
//	conn.go      a connection and its loop
//	grammar.go   which requests are read here; everything else is handed over to net/http
//	fields.go    header fields that mean something to a connection, or to a poll
//	request.go   from the head to an http.Request
//	response.go  the http.ResponseWriter
//	wait.go      requests that wait
//	input.go     what has been read from a connection; bodies
//	stage.go     how long a connection may do what it does
//	server.go    all connections: the sweep each second, and the end
//	hangup_*.go  clients that hang up while their request waits
//
// # Three kinds of requests
//
// A poll is a GET or HEAD of one execution in its plainest form, see pollTarget and
// fields.go. Its http.Request is made in place, without net/http, and its connection
// uses it again for the next one. Ordinary are all other requests within the grammar.
// net/http parses them, and the rest is the same. What is foreign to the grammar goes to
// net/http with every byte, and its connection for good. Handlers notice no difference.
//
// # What a connection costs
//
// One goroutine works on a connection: it reads, calls the handler and writes. There is
// no second one that looks for a hang-up, and no deadline is set for a request. A
// connection notes what it is doing and until when it may, and a sweep each second closes
// those that are late. While nothing arrives there is no buffer.
//
// # A request that waits
//
// A handler that has to wait calls Response.Detach and returns. What it leaves is continued
// on a goroutine of its own when it returns, and again when there may be news; in
// between there is no goroutine. After the answer, the connection continues.
//
// # Safety
//
// An answer that gets out of step with its request is the answer of another caller, so
// the rules are narrow: the grammar knows one reading of each request, and net/http has
// to agree; a body is read to its end, or the connection is closed; so it is behind an
// answer that is shorter or longer than its head says, and behind a panic. Nothing of a
// poll is left in what the next one uses.
//
// The package knows no route and no token, and imports envelope only.
package wire
