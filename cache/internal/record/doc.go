// Package record is how a record begins, and the versions that decide between two states of an
// execution: what Go and the scripts in Redis must read alike.
package record
