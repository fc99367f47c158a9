// Package member is what the indexes of executions hold: the ARN of an execution, or a short
// form of it.
//
// The short form is
//
//	2 | identifier of the state machine 6 | name of the execution
//	1 | identifier of the state machine 6 | name of the execution 16, which is a UUID
//
// An identifier is that of the counters (package tally), so it is a hash. Whoever writes a short
// form has made sure that Redis knows the identifier as that of this state machine, and of no
// other whose hash is the same: that one's executions are entered by their ARNs.
package member
