// Package cache is what the service knows: the newest state of every execution,
// kept in Redis, and the near cache from which most polls are answered.
//
// # The record
//
// An execution has one record. Observations of it (events, replays, answers of
// DescribeExecution) arrive late, twice and in any order; each has a Version
// that depends on nothing but itself, and the greatest version wins. That makes
// the merge a join: commutative, associative, idempotent and monotone, so every
// order of the same observations ends in the same record. Owner, input type and
// the time it was first seen are registers of their own, set once, by
// registration rather than by input. apply.lua is the join; it changes the
// record, its two indexes and its change channel in one step.
//
// A record is compact: it holds what an observation alone says, and the rest of an answer is
// written again when it is read (compact.go). While releases run that do not know this format,
// records hold the whole answer in another one (internal/formats); all are read side by side.
//
// # Reading
//
// Peek and Get answer from the near cache while that is known to be true: the
// change feed (Run) hears every change and is itself proven alive by a
// heartbeat. When it is silent for two seconds the near cache is off, and Redis
// is asked each time; concurrent questions share an answer and round trips.
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
// Events get lost, and leave out what is large. apply.lua lists executions that Step
// Functions is to be asked about; package worklist keeps these lists and all else that
// asking needs. A trail (trail.go) at the end of each record shows from which
// observations it was joined.
//
// # Counting
//
// Package tally counts what executions do, in the same step in which their records change:
// starts, ends with their durations, failures by cause, and what runs. Package stats
// answers from these counters. While a slot of a cluster moves to another node, what is
// applied to its partitions is not counted; what runs is counted anew afterwards.
//
// # Promises
//
//   - A write that Apply reports as final is in Redis and, where asked for, in
//     its replicas.
//   - A read is never older than three seconds, whatever is cut, frozen or lost.
//   - A read takes at most 300 ms; then it is an error, never an invented state.
//   - Memory, connections and queues are bounded.
//
// It does not promise to know what nobody reported, and it does not decide who may
// read: it names the owner.
package cache
