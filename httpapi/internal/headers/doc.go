// Package headers reads the headers of requests, as clients, browsers and proxies send
// them.
//
//	accept.go       Accept and Accept-Encoding: JSON or a stream, compressed or not
//	etag.go         If-None-Match, also with what a proxy has made of our entity tags
//	version.go      the version that a client has seen: If-None-Match, Last-Event-ID
//	prefer.go       Prefer: wait=SECONDS
//	crossorigin.go  Origin: pages of other origins (CORS)
package headers
