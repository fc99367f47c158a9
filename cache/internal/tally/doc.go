// Package tally is the form of the counters in Redis: what count.lua writes beside the
// records and what package stats reads. Everything is counted in the partition of its
// execution and in the hour in which it happened, by the dates of Step Functions, so that
// the order of arrival does not matter.
//
// A tally (sc:{p}:tally:H) is what executions did in one hour: a header and then entries of
// EntryLength bytes, one for each start and each end.
//
//	header   generation 2 | length of the folded entries in bytes 4
//	folded   machine 6 | value 2 | count 4: what many entries amounted to
//	entry    machine 6 | value 2 | minute of the hour 1
//
// A value is Started, Failed, or the bucket of the duration of a success. Numbers have the
// highest byte first. A greater generation says that entries were folded meanwhile.
//
// The counts of a partition (sc:{p}:counts) say what changed and what runs:
//
//	t and the hour      how often its tally changed
//	f and the hour      how often its failures changed
//	r and the machine   how many of its executions run
package tally
