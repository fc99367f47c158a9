// Package reports reads the requests for reports about many executions, and writes their
// answers.
//
//	question.go   the query of a request
//	failures.go   GET /v1/failures
//	durations.go  GET /v1/durations
//	overview.go   GET /v1/overview
//	snapshots.go  reports, shared by all requests with the same question
//	trail.go      GET /v1/executions/{executionArn}/trail
//
// The data comes from package cache and the packages below it. The caller has already
// checked the authorization. The package does not use http.Request.
package reports
