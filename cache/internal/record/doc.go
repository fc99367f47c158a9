// Package record reads and writes the beginning of a record, its labels, and the versions that
// decide between two states of an execution. Go code and the scripts in Redis must agree on
// all of them.
package record
