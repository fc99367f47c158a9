// Package httpapi is the HTTP API of the service: it answers pollers and dashboards from
// the cache, and accepts registrations from the service that starts executions.
//
// # What is where
//
//	routes.go       every route, and the order in which a request is matched
//	exchange.go     one request and its answer: the checks that all routes share
//	body.go         the body of a request
//	status.go       GET /v1/status/{executionArn}
//	statusbatch.go  POST /v1/status
//	waitset.go      POST /v1/wait
//	list.go         GET /v1/executions, as a list and as a live feed
//	register.go     POST /v1/executions
//	links.go        POST /v1/links, and requests that come with a link
//	output.go       POST /v1/executions/{executionArn}/output
//	reports.go      GET /v1/failures, /v1/durations, /v1/overview and the trail of an execution
//	stream.go       Server-Sent Events about an execution
//	health.go       GET /v1/health; metrics, probes and profiles for operators
//	pages.go        /docs, /openapi.* and the dashboard
//	waitoptions.go  the options of a read that may wait
//	view.go         the forms of an answer, ?view=
//	wait.go         waiting for an execution to end or to change
//	arrivalgrace.go waiting for an execution that is not known yet
//	detach.go       a request leaves its route to wait, and is continued in steps
//	waiters.go      all requests that wait: how many there may be
//	send.go         sends answers
//	server.go, limits.go, metrics.go  the server itself
//
// Below it:
//
//	auth               who is calling: API keys, JWTs, their issuer and its keys
//	docs               the contract (openapi.yaml) and the page that shows it
//	dashboard          the page at /, which reads the public API
//	client             a client in Go
//	certificate        the TLS certificate in files
//	wire               connections that speak HTTP/1.1: reading requests, writing answers
//	internal/conns     the ports: accepting, TLS, HTTP/2 frames, shutdown
//	internal/envelope  the form of answers: envelope, errors, header values, events
//	internal/health    the health of the service, and the probes of the admin port
//	internal/headers   reading the headers of requests
//	internal/listing   the parameters of a list of executions
//	internal/reports   the form of reports: failures, durations, overview, trail
//	internal/retryafter  when to poll again
//	internal/fairness  no caller takes all slots or bytes; the rate limit
//	internal/accesslog a log line for each request
//	internal/traces    a span for each request, where tracing is on
//	internal/waiting   requests that wait, and why a wait ends
//	issuertest         an issuer of JWTs, for tests
//
// httpapi imports these packages. They import neither httpapi nor each other, except
// that all may import envelope, and conns imports wire.
//
// # How to add a route
//
//  1. routes.go: a row in routeTable.
//  2. A file for its handler, a method of Server that takes an exchange. Answers are
//     sent by x.send in the form of package envelope; a new kind of error is a function in
//     internal/envelope/errors.go.
//  3. docs/openapi.yaml: the path. Tests check every answer against it.
//  4. A test. For /docs, also a line of shownOperations in docs/page.go.
//
// # The life of a request
//
//	route, method → token → rate and daily limit → validation → look-up → ownership
//
// Each step can end the request with an error. The response to a request without a valid
// token reveals nothing, not even whether a path exists. A caller gets only executions of
// which it is the owner: an execution without an owner is for operators only.
//
// # The hot route
//
// Nearly all requests are GET /v1/status/{executionArn}. Package wire reads those without
// net/http, the route is matched before the router is called, and headers and bodies are
// prepared when a record is made. The handler and its checks are the same for every
// request, whether wire or net/http has read it.
//
// # Waiting
//
// A waiting request is detached from its route and becomes one of the waiters. The waiters
// have a maximum number. Their waits end when the server stops, and when their token is no
// longer valid. Over HTTP/1.1 the handler of a waiting request returns, see package wire.
// Package changes reports when an execution has changed. The status is then read again, so
// a wrong report only causes an unnecessary read.
//
// # Clients and proxies in practice
//
// Browsers, generated clients, proxies and load balancers behave in ways that no contract
// describes: they accept both streams and JSON, change our entity tags (internal/headers), open
// connections in advance (internal/conns), and buffer or compress answers unless a header forbids
// it. fronts_test.go tests with real ones.
//
// # What it promises
//
// A request that does not wait is answered within half a second, with the true status
// or with 503 and Retry-After; the API never invents a status. A client that sends a
// version never gets an older one. A panic ends one request. Neither tokens nor bodies
// are logged.
package httpapi
