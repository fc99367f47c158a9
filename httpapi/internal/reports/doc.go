// Package reports is the form of answers about more than the status of one execution.
//
//	trail.go      GET /v1/executions/{executionArn}/trail
//
// What it reports comes from package cache and what stands on it; who may ask is decided
// before. The package knows no request.
package reports
