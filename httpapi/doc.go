// Package httpapi is how the service tells: it answers pollers and dashboards
// from the cache, and takes registrations from the generate endpoint.
//
// # The life of a request
//
//	route, method → token → rate and daily limit → validation → look-up → ownership
//
// Each step can end it, with one envelope for all errors (problem.go). A request
// without a good token learns nothing, not even whether a path exists. What is
// not known to be the caller's is not told: an execution without an owner is for
// operators only.
//
// # The hot route
//
// Nearly all requests are GET /v1/status. That route is found before the router
// is asked, and its headers and bodies are prepared where a record is made, so
// that a read from the near cache costs about as much as an empty handler of
// net/http. Everything else is the same for all routes: see serve.go.
//
// # Waiting
//
// Who wants to wait (longpoll.go, waitset.go) or to follow (stream.go, list.go)
// enters the room (room.go), which bounds how many there are and ends their waits:
// when the server stops, and when their token is no longer good. Over HTTP/1.1
// their connections are parked outside of net/http (park.go), because there they
// would cost several times as much. What they wait for is cache's to know: each
// answer is read again, so a wake-up that comes too often or not at all changes
// nothing but the time.
//
// # Clients and fronts as they are
//
// Browsers, generated clients, proxies and load balancers do what no contract says:
// they accept streams and JSON alike (accept.go), mark our entity tags (etag.go),
// open connections ahead of need (patient.go), add headers to what a page asks
// (crossorigin.go) and hold or compress what no header forbids them to. The tests
// have real ones in front (fronts_test.go).
//
// net/http answers by itself what it cannot read, and obeys any number of frames over
// HTTP/2. So it gets connections that put its words into the form of our errors
// (patient.go, secure.go) and count what a client sends for nothing (frames.go).
//
// # What it promises
//
// Every request that does not ask to wait is answered within half a second, with
// the truth or with 503 and Retry-After; never with a made-up status. Who shows a
// version never gets an older one. A panic ends one request. Neither tokens nor
// bodies are logged. What the API says is in openapi.yaml, and every answer in the
// tests is held to it.
package httpapi
