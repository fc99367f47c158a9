// Package headers reads the headers of requests, as clients, browsers and proxies send
// them.
//
//	accept.go       Accept and Accept-Encoding: JSON or a stream, compressed or not
//	ifnonematch.go  If-None-Match, also with entity tags that a proxy has changed
//	version.go      the latest version that a client has: If-None-Match, Last-Event-ID
//	prefer.go       Prefer: wait=SECONDS
//	crossorigin.go  Origin: pages of other origins (CORS)
package headers
