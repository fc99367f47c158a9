// Package ingest brings the states of executions into the cache: it receives
// status-change events from SQS, turns them into observations, and the cache merges them.
//
// # The life of a message
//
// A message is received and decoded. Its events are merged into Redis together with those of
// its batch. After Redis has confirmed them, the message is deleted from the queue within a
// second. Every delivery has exactly one of these results:
//
//	applied       it is the newest state now; deleted
//	superseded    the same or a newer state was known; deleted
//	expired       too old to be kept; deleted
//	ignored       it has another source, detail-type or state machine; deleted
//	undecodable   it cannot be decoded, now or later; left to the queue's redrive policy
//	retried       not finished; it will be received again
//
// The metric statuscache_events_total counts the deliveries by result. A message may come twice,
// late, or after it was deleted. This is harmless, because the merge does not depend on the order
// of events.
//
// While Redis fails, nothing is received, and messages in flight stay in flight. Otherwise
// they would use up their receive counts and become dead letters.
//
// # What is where
//
// The Consumer (consumer.go) handles batches. pollers.go receives them, with as few requests
// as the backlog allows. messagebatch.go decodes the messages, inflight.go keeps them hidden, and
// messagedeletes.go deletes handled ones, ten at a time. gate.go stops receiving while Redis
// fails. health.go and health_reasons.go report why events are not applied (a PartFailure).
// startdates.go handles events without a start date. sqs.go is the queue. report.go reports to
// the other processes. Package event decodes the events.
//
// Events get lost, and large ones leave parts out. So four types call Step Functions: The
// Hydrator (hydrate.go) fetches outputs, owners and labels that events left out. The Refetcher
// (refetch.go) fetches expired outputs again. The Auditor (audit.go, audit_sweep.go) compares
// the cache with the lists of Step Functions, and describes every lasting difference. Backfill
// (backfill.go) fills a cache from Step Functions. stepfunctions.go makes their calls,
// budget.go keeps them within a budget, and worker.go handles the lists of executions that
// need a call. Their results are observations and are merged like events.
//
// Package operate sets up and checks the path of the events. Package localaws is a stand-in
// for AWS, for laptops and tests. Package internal/awscall has what every call to AWS needs;
// internal/eventpattern matches events as EventBridge does; internal/traces makes the spans
// of messages if tracing is on.
//
// # A new field of an event
//
//  1. event/event.go: add the field to detail, and copy it in Decoder.execution with a bound on
//     its length. If DescribeExecution has it as well, copy it in StepFunctions.Describe
//     (stepfunctions.go): a fetched state must equal a received one.
//  2. event/event_test.go: add the field to TestFixtures. Most fields are in event/testdata/events.
//  3. cache/execution.go: add it to Execution and Record.
//  4. cache/payload.go: write it in compactPayload and read it in readPayload. The records of
//     earlier releases must stay readable: mark a payload that has the field. Earlier
//     releases cannot read a marked payload. So one release only reads the field, and the
//     next release also writes it.
//  5. cache/answer.go: write it into the answer. If the usual answer has it, bodyHash must cover
//     it, because it becomes part of the entity tag. The merge orders observations by their
//     version alone and needs no change.
//  6. httpapi/docs/openapi.yaml: describe it.
//
// The Go client (httpapi/client) and the stand-in for AWS (localaws/states_event.go) need it only
// if a program or a test uses it there.
//
// # What it does not do
//
// It does not decide which observation wins (package cache) or who may read (httpapi),
// and it never logs the payload of a message.
package ingest
