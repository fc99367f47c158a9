// Package localaws is a stand-in for Amazon SQS, Amazon EventBridge and AWS Step
// Functions: standard queues and event buses in memory, which an unchanged SDK uses
// through the AWS JSON protocol. With it the whole system runs on one machine without an
// account, and tests can cause faults that are rare on AWS.
//
// # How it matches AWS
//
// Messages are delivered at least once: a received message is hidden, comes back when its
// visibility timeout ends, and counts its receives. A receipt handle belongs to one
// receive; after the message was received again, a delete with the older handle succeeds
// but deletes nothing. If a message was received as often as the redrive policy allows,
// the next receive moves it to the dead-letter queue instead; it keeps its ID, its dates
// and its count. Long polls end with the first message, when their time is over, or when
// the caller disconnects; such a caller takes no message. Batches answer 200 and list the
// failed entries. Message attributes arrive with their checksum. A task moves dead letters
// as new messages, back to their source or elsewhere; a message without a source ends the
// task. Limits, defaults and error types are the real ones, but error texts are not. The
// tests of this package compare all this with the SDK and with another implementation.
//
// # How it differs from AWS
//
// Messages are received in the order in which they became visible, and a receive sees all
// of them; SQS promises neither. Nothing expires: the retention period is stored but has
// no effect. The limits on extended visibility (12 hours) and on messages in flight have
// no effect either. Names are free again at once, and a queue may be purged at any time.
// There are no FIFO queues, no encryption and no pages in lists. The policy of a queue
// applies only to the event bus, and a policy with elements or conditions that the
// stand-in does not know is refused. Credentials and signatures are not checked, so it
// must listen on loopback only. The content of the queues is lost when the process ends.
//
// # The event bus
//
// As on AWS: a rule is replaced as a whole, except for its targets, and cannot be deleted
// while it has targets. Patterns support all comparisons that AWS documents; numbers are
// compared as text unless the comparison is numeric; fields in an array of objects must
// match in the same object. A queue gets an event only if its policy allows the rule to
// send. Otherwise, or if the queue does not exist, the event goes to the target's
// dead-letter queue at once, with the attributes that say why, and is lost if that is not
// allowed either. A replayed event keeps its id, time and detail, has the name of its
// replay, arrives in any order within a minute, and is not archived again.
//
// Different from AWS: the bus delivers each event once, before it answers; Delays and Faults
// make deliveries late or make them fail. Retries take no time. Archives show and replay an
// event at once, and contain at most 128 MiB; the oldest events are deleted. A replay includes
// both ends of its time range. The only targets are queues and buses of the same server, and
// events are not changed: a target with Input, InputPath or InputTransformer is a failed entry.
// There are no schedules and no policies of buses, and tags are dropped. An empty array in an
// event counts as absent.
//
// # Step Functions
//
// A state machine is a [Plot] in Go that decides how long an execution runs and how it
// ends; its definition is ignored. The visible behavior matches AWS: the life of a
// standard execution, with stops and redrives that keep ARN and start date; the names,
// sizes, periods and errors of the actions; repeated actions (same name and input, same
// redrive token); pages of lists, newest first, with tokens that last 24 hours; and the
// events, with all their keys, with whole seconds in the envelope and milliseconds in the
// detail, without input and output if these are too long. If requested, readers lag
// behind the state ([Server.SetLag]), calls are throttled ([Server.SetThrottling]), and
// events are lost, duplicated and late ([Server.SetEmission]), as can happen at AWS.
// [Server.Execution], [Server.Calls] and [Server.Emitted] return the true state.
//
// There are no versions, aliases, Express workflows, Map Runs, histories and tags; state
// machines are created only in Go, and listed on one page. A stop of a closed execution
// succeeds and changes nothing. A name can also be used again after its execution was
// removed because there were too many ([Server.SetKept]). The limits of [RealThrottling]
// for actions other than StartExecution, DescribeExecution and ListExecutions are high
// estimates.
package localaws
