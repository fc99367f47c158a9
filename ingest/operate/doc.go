// Package operate sets up and checks the path of the events from Step Functions through
// EventBridge to the queue, for the commands of statusctl. The service itself never calls
// it.
//
// # What is where
//
// An Operator (operator.go) has one method for each command. Provision (provision.go)
// creates or corrects the queue, its dead-letter queues (provision_queues.go), the rules
// and their targets (provision_rules.go) and the archive (archives.go). Diagnose
// (doctor.go) checks the same path: the queues (doctor_queues.go), and rules, targets,
// archive and state machines (doctor_events.go). StartReplay and FollowReplay (replay.go)
// replay archived events. DeadLetterQueues, Peek, Redrive and Purge (deadletters.go)
// handle dead letters.
//
// Provision and Diagnose share the code that must give the same result. routes.go finds the
// rules that lead to a queue. samples.go has an event of each kind that must reach the
// queue, and rulechange.go plans the smallest change that makes the rules send all of them,
// with the event patterns of eventpattern.go. queuepolicy.go reads and extends the policy
// of a queue, and policyevaluation.go evaluates whether a policy allows a rule to send.
package operate
