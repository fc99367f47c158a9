// Package tally has the counters in Redis: count.lua writes them together with the records,
// in the same call, and package stats reads them. Everything is counted in the hour in which
// it happened, by the dates of Step Functions, so that the order of arrival does not matter.
// It is counted in the partition of its execution; starts and ends in the partition of any
// execution of the call.
//
// A tally (sc:{p}:tally:H) has the starts and ends of executions in one hour: a header and
// then entries of EntryLength bytes, one for each start and each end.
//
//	header   generation 2 | length of the folded entries in bytes 4
//	folded   machine 6 | value 2 | count 4: the sum of many entries
//	entry    machine 6 | value 2 | minute of the hour 1
//
// A value is Started, Failed, or the bucket of the duration of a success. Numbers have the
// highest byte first. A greater generation means that entries were folded in the meantime.
//
// The failures of an hour (sc:{p}:failures:H) are a hash by group, which is a hash of state
// machine, error name and template of the message:
//
//	g and the group          machine 6 | first seen 13 | last seen 13 | length of the error name 3 | error name | template
//	n, the group and a slot  how many failed in it; an hour has 12 slots, from A on
//	e and the group          the newest three: time 13 | name of the execution | line break
//	l and the machine        how many groups it has
//	o, the machine and a slot  how many failures are in no group
//
// The counts of a partition (sc:{p}:counts) say what changed, and how many executions run:
//
//	t and the hour      how often its tally changed
//	f and the hour      how often its failures changed
//	r and the machine   how many of its executions run
//	c                   when these were last counted by the running index, in ms
package tally
