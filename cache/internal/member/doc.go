// Package member is what the indexes of executions hold: the ARN of an execution, or a short
// form of it.
//
// The short form is
//
//	2 | identifier of the state machine 6 | name of the execution
//	1 | identifier of the state machine 6 | name of the execution 16, which is a UUID
//
// An identifier is that of the counters (package tally), so it is a hash. Before a
// short form is written, Redis must know the identifier as that of this state machine. If two
// state machines have the same hash, the executions of the second are entered by their ARNs.
package member
