// Package cache stores the newest state of every execution in Redis, and has the near
// cache in memory from which most polls are answered.
//
// # The record
//
// An execution has one record. Observations of it (events, replays, answers of
// DescribeExecution) arrive late, twice and in any order. Each has a Version that depends
// only on the observation, and the greatest version wins. That makes the merge a join:
// commutative, associative, idempotent and monotone, so every order of the same
// observations ends in the same record. Owner, input type and the time when the execution
// was first seen are separate registers. They are set once; a registration takes
// precedence over the input. The join is a script (apply.lua) that changes the record,
// its two indexes and its change channel in one step.
//
// A record is compact: it contains only the data of an observation, and the rest of an answer
// is generated when the record is read (payload.go). While releases run that do not know this
// format, records contain the whole answer in an older format (internal/formats). Both formats
// can always be read.
//
// One call of the script joins what concurrent callers apply (internal/writebatch).
//
// # Reading
//
// Peek and Get answer from the near cache while that is known to be current: the
// change feed (Run) receives every change, and a heartbeat proves that it works.
// After two seconds without one, the near cache is off and every read goes to
// Redis; concurrent reads share an answer and round trips.
//
// GetMany reads many in one round trip to each node. Package lists finds and counts
// executions.
//
// # Waiting
//
// Package changes wakes waiting requests when the change feed reports a change.
//
// # Lost events and missing outputs
//
// Events get lost, and leave out large parts. apply.lua lists executions to check with
// Step Functions; package worklist keeps these lists and the budgets of the calls. A
// trail (trail.go) at the end of each record shows the observations from which it was
// joined.
//
// # Counting
//
// Package tally counts changes of executions, in the same step in which their records change:
// starts, ends with their durations, failures by cause, and running executions. Package stats
// answers from these counters. While a slot of a cluster moves to another node, changes
// in its partitions are not counted; afterwards the running executions are counted again.
//
// # Promises
//
//   - A write that Apply reports as final is in Redis and, where
//     REDIS_REPLICA_ACKS requires it, in its replicas.
//   - The result of a read is never more than three seconds old, even if Redis or the network
//     fails.
//   - A read takes at most 300 ms; after that it returns an error, never an invented state.
//   - Memory, connections and queues are bounded.
//
// It does not know changes that were never reported to it, and it does not decide who may
// read: it returns the owner.
package cache
