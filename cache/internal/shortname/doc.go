// Package shortname has the two forms of an execution in the indexes: its ARN and its short form.
//
// The short form is
//
//	2 | identifier of the state machine 6 | name of the execution
//	1 | identifier of the state machine 6 | name of the execution 16, which is a UUID
//
// The identifier is a hash, the same as in the counters (package tally). Before a short form
// is written, Redis must have stored the identifier for this state machine. If two state
// machines have the same hash, the executions of the second are entered by their ARNs.
package shortname
