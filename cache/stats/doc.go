// Package stats computes statistics about many executions: how long they take, why they
// fail, how many start and end. For operators it reads the counters that count.lua keeps
// beside the records, and reads no records. A process keeps the counters in memory and
// reads only new entries, in two round trips, at most once a second for all callers
// together. For an owner it computes the same from the executions in the owner's index, so
// that nothing about other owners can leak.
//
// Package tally defines the form of the counters.
package stats
