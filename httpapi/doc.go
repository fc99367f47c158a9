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
// # What it promises
//
// Every request is answered within half a second, with the truth or with 503 and
// Retry-After; never with a made-up status. A panic ends one request. Neither
// tokens nor bodies are logged.
package httpapi
