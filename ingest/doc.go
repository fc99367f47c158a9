// Package ingest is how the service learns: it takes status-change events from
// SQS, makes observations of them and has the cache merge them.
//
// # The life of a message
//
// A message is received, decoded, merged into Redis together with the others of
// its batch, and deleted from the queue once Redis has confirmed it. Every
// delivery ends in exactly one of
//
//	applied       it is the newest state now; deleted
//	superseded    as new or newer was known; deleted
//	expired       older than anything that is kept; deleted
//	ignored       not ours: another source, detail-type or state machine; deleted
//	undecodable   will never make sense; left to the queue's redrive policy
//	retried       not finished; it comes again
//
// and statuscache_events_total counts it there. A message that comes twice, late
// or after its delete is nothing special: the merge is a join.
//
// While Redis is sick nothing is received, and what is in hand is kept in hand,
// so that no message uses up its receive count and ends among the dead letters.
//
// A message may hold its event in envelopes of SNS or of Pipes, and several events
// (envelope.go). What keeps events from being learnt for half a minute is a Trouble,
// by the part that fails (outages.go).
//
// # What no event tells
//
// The Hydrator asks Step Functions for what an event left out, the Auditor compares
// what is known with what Step Functions lists and has every difference described that
// lasts, Backfill fills a cache from there. What they learn is an observation like any
// other and is merged like one. The Operator looks after the way of the events:
// it makes queue, rule and archive, finds out what is wrong with them, has archived
// events sent again, and looks after dead letters.
//
// # What it does not do
//
// It decides nothing about who wins (package cache) or who may read (httpapi),
// and it never logs what a message holds.
package ingest
