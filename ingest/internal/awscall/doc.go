// Package awscall has what every call to AWS needs: a correction of the SDK, without which
// answers are lost (readonlybody.go), and error texts that say what to do (errors.go): who we
// are to AWS (identity.go), what we may (denied.go), and what is on the way (network.go). What
// ingest and operate both do with a queue is here as well (queue.go), and the spans of calls
// (tracing.go). It imports no other package of this module.
package awscall
