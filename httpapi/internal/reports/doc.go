// Package reports is the form of questions and answers about more than the status of one
// execution.
//
//	question.go   the query of a request
//	failures.go   GET /v1/failures
//	durations.go  GET /v1/durations
//	overview.go   GET /v1/overview
//	snapshots.go  overviews that are shared by all who ask within a second
//	trail.go      GET /v1/executions/{executionArn}/trail
//
// What it reports comes from package cache and what stands on it; who may ask is decided
// before. The package knows no request.
package reports
