// Package cache stores the newest state of every execution in Redis, and has the near
// cache in memory from which most polls are answered.
//
// # The record
//
// An execution has one record. Observations of it (events, replays, answers of
// DescribeExecution) arrive late, twice and in any order; each has a Version
// that depends on nothing but itself, and the greatest version wins. That makes
// the merge a join: commutative, associative, idempotent and monotone, so every
// order of the same observations ends in the same record. Owner, input type and
// the time it was first seen are registers of their own, set once, by
// registration rather than by input. The join is a script (apply.lua) that changes the
// record, its two indexes and its change channel in one step.
//
// A record is compact: it holds what an observation alone says, and the rest of an answer is
// written again when it is read (payload.go). While releases run that do not know this format,
// records hold the whole answer in another one (internal/formats); all are read side by side.
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
// Package changes wakes those who wait, from the change feed.
//
// # Lost events and missing outputs
//
// Events get lost, and leave out what is large. apply.lua lists executions to
// check with Step Functions; package worklist keeps these lists and what those calls
// need. A trail (trail.go) at the end of each record shows from which
// observations it was joined.
//
// # Counting
//
// Package tally counts what executions do, in the same step in which their records change:
// starts, ends with their durations, failures by cause, and running executions. Package stats
// answers from these counters. While a slot of a cluster moves to another node, changes
// in its partitions are not counted; afterwards the running executions are counted again.
//
// # Promises
//
//   - A write that Apply reports as final is in Redis and, where
//     REDIS_REPLICA_ACKS requires it, in its replicas.
//   - A read is never older than three seconds, even if Redis or the network fails.
//   - A read takes at most 300 ms; then it is an error, never an invented state.
//   - Memory, connections and queues are bounded.
//
// It does not promise to know what was never reported to it, and it does not decide who
// may read: it names the owner.
package cache
