// Package stats answers questions about many executions: how long they take, why they
// fail, how many start and end. For everybody it reads the counters that count.lua keeps
// beside the records, and walks over no records: what a process has read it keeps in
// memory, and reads on where something has been added, at most once a second however many
// callers ask, in two round trips. For an owner it computes the same from the executions
// in the owner's index, so that nothing of others can shine through.
//
// The form of the counters is that of package tally.
package stats
