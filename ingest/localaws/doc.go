// Package localaws is a stand-in for Amazon SQS and Amazon EventBridge: standard
// queues and event buses in memory, which an unchanged SDK uses by the AWS JSON
// protocol. With it the whole system runs on one machine without an account, and
// tests can cause faults that are rare on AWS.
//
// # Where it is faithful
//
// Delivery at least once: a received message is hidden, comes back when its
// visibility time-out ends, and counts its receives. A receipt handle belongs to
// one receive; once the message was received again, a delete with the older handle
// is answered with success and deletes nothing. A message that was received as
// often as the redrive policy allows moves to the dead-letter queue when it would
// be received once more, and keeps its ID, its dates and its count. Long polls end
// with the first message, when their time is over, or when the caller disconnects;
// such a caller takes no message. Batches answer 200 with what failed
// inside. Message attributes arrive with their checksum. A task moves dead letters
// as new messages, back to where they came from or elsewhere; one that came from
// no queue ends it. Limits, defaults and error types are the real ones, texts of
// errors are not. The tests of this package compare all this with the SDK and with another
// implementation.
//
// # Where it is not
//
// Messages are received in the order in which they became visible, and a receive
// sees all of them; SQS promises neither. Nothing expires: the retention period is
// stored but has no effect, nor has the limit of 12 hours for extending visibility
// or the one on messages in flight. Names are free again at once, and a queue may
// be purged at any time. There are no FIFO queues, no encryption and no pages in
// lists. A queue's policy holds for the event bus alone, and one with elements or
// conditions that the stand-in does not know is refused. Credentials and
// signatures are not looked at, so it must listen on loopback only. What is in the
// queues ends with the process.
//
// # The event bus
//
// Faithful: a rule is replaced as a whole but for its targets, and cannot be
// deleted while it has any. Patterns know all comparisons that AWS documents;
// numbers are compared as they are written unless the comparison is numeric;
// fields of an array of objects have to match in the same object. A queue gets an
// event only if its policy lets the rule send. Without that, or without the queue,
// the event goes to the target's dead-letter queue at once, with the attributes
// that say why, and is lost if that is not allowed either. A replayed event keeps
// id, time and detail, has its replay's name, comes in no order within a minute,
// and is not archived again.
//
// Not: the bus delivers each event once, and before it answers; Delays and Faults
// make it late, and make it fail. Retries take no time. Archives show and replay
// an event at once, and hold 128 MiB; beyond that, the oldest are deleted. A replay
// includes both ends of its time. The only targets are queues and buses of the same server,
// and an event is not changed on its way: a target with Input, InputPath or
// InputTransformer is a failed entry. There are no schedules, no
// policies of buses and no tags, which are dropped. An empty array in an event counts as absent.
//
// # Step Functions
//
// A state machine is a [Plot] in Go that says how long an execution runs and how
// it ends; its definition means nothing. Faithful are what can be seen from
// outside: the life of a standard execution, with stops and redrives that keep
// ARN and start date; the names, sizes, periods and errors of the actions; an
// action that is repeated (same name and input, same redrive token); pages of
// lists, newest first, with tokens that last 24 hours; and the events, with all
// their keys, in whole seconds outside and milliseconds inside, without input and
// output where those are too long. On demand readers lag behind the truth
// ([Server.SetLag]), calls are throttled ([Server.SetThrottling]), and events are
// lost, doubled and late ([Server.SetEmission]): Step Functions promises no
// better. [Server.Execution], [Server.Calls] and [Server.Emitted] tell the truth.
//
// There are no versions, aliases, Express workflows, Map Runs, histories and
// tags; state machines are made in Go only and listed on one page. A stop of an
// execution that is closed succeeds and changes nothing. A name is also free
// again once its execution was forgotten because there were too many
// ([Server.SetKept]). The limits of [RealThrottling] for actions other than
// StartExecution, DescribeExecution and ListExecutions are generous guesses.
package localaws
