// Package awscall is what every call to AWS needs: a fix of the SDK, without which
// answers are lost (readonlybody.go), and error texts that name the cure
// (errors.go). What ingest and operate both do with a queue is here as well
// (queue.go), and the spans of calls (tracing.go). It imports no other package of this module.
package awscall
