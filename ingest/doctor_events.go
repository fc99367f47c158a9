package ingest

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"
)

// Names of checks.
const (
	checkRule       = "rule"
	checkPattern    = "rule pattern"
	checkPolicy     = "queue policy"
	checkTarget     = "target"
	checkRuleDead   = "dead-letter queue of the rule"
	checkRulePolicy = "policy of the rule's dead-letter queue"
	checkArchive    = "archive"
)

// theRoute looks at the rule, its target and what the two need.
func (d *doctor) theRoute(ctx context.Context) {
	rest := []string{checkPattern, checkPolicy, checkTarget, checkRuleDead, checkRulePolicy}
	if d.queue == nil {
		d.unchecked("the queue cannot be looked at", append(rest, checkRule)...)
		return
	}
	if d.setUp.Rule == "" {
		d.setUp.Rule = d.ruleFor(ctx, d.queue.arn())
	}
	r, err := d.routeOf(ctx, d.setUp.Rule, d.queue.arn())
	switch {
	case notThere(err):
		d.wrong(checkRule, "there is no rule "+d.setUp.Rule, d.provision())
		d.unchecked("there is no rule", rest...)
		return
	case err != nil:
		d.unchecked(err.Error(), append(rest, checkRule)...)
		return
	}
	d.rule = aws.ToString(r.rule.Arn)
	if r.rule.State == eventtypes.RuleStateDisabled {
		d.wrong(checkRule, d.setUp.Rule+" is disabled", "aws events enable-rule --name "+d.setUp.Rule)
	} else {
		d.fine(checkRule, d.rule)
	}
	d.pattern(ctx, checkPattern, aws.ToString(r.rule.EventPattern))
	d.sendPolicy(checkPolicy, d.queue)
	d.target(ctx, r)
}

// pattern has EventBridge match events of every state machine and of its Maps.
func (d *doctor) pattern(ctx context.Context, check, pattern string) {
	if len(d.setUp.StateMachines) == 0 {
		d.unchecked("STATE_MACHINES is not set, so what should match is not known", check)
		return
	}
	for _, machine := range d.setUp.StateMachines {
		for _, child := range []bool{false, true} {
			answer, err := d.events.TestEventPattern(ctx, &eventbridge.TestEventPatternInput{
				EventPattern: &pattern, Event: aws.String(sampleEvent(machine, child)),
			})
			if err != nil {
				d.unchecked(trouble("events:TestEventPattern", err), check)
				return
			}
			if !answer.Result {
				d.wrong(check, "the events of "+machine+mapChildren(child)+" do not match", d.provision()+" --state-machine "+strings.Join(d.setUp.StateMachines, " --state-machine "))
				return
			}
		}
	}
	d.fine(check, fmt.Sprintf("matches %d state machines and their Map children", len(d.setUp.StateMachines)))
}

func mapChildren(child bool) string {
	if child {
		return "'s Map children"
	}
	return ""
}

func (d *doctor) target(ctx context.Context, r *route) {
	t := r.target
	switch {
	case t == nil:
		d.wrong(checkTarget, "the rule does not send to "+d.queue.arn(), d.provision())
	case t.Input != nil || t.InputPath != nil || t.InputTransformer != nil:
		d.wrong(checkTarget, "it changes the events, so they cannot be read", d.provision())
	default:
		d.fine(checkTarget, aws.ToString(t.Id))
	}
	switch arn := r.deadLetterARN(); {
	case t == nil:
		d.unchecked("the rule does not send to the queue", checkRuleDead, checkRulePolicy)
	case arn == "":
		d.wrong(checkRuleDead, "there is none, so events that cannot be sent are lost", d.provision())
		d.unchecked("there is no such queue", checkRulePolicy)
	default:
		if q := d.deadLetters(ctx, checkRuleDead, arn); q != nil {
			d.sendPolicy(checkRulePolicy, q)
		} else {
			d.unchecked("the queue cannot be looked at", checkRulePolicy)
		}
	}
}

func (d *doctor) theArchive(ctx context.Context) {
	const pattern = "archive pattern"
	name := first(d.setUp.Archive, first(d.setUp.Rule, lastPart(d.setUp.QueueURL)))
	if name == "" {
		d.unchecked("SQS_QUEUE_URL is not set", checkArchive, pattern)
		return
	}
	a, err := d.events.DescribeArchive(ctx, &eventbridge.DescribeArchiveInput{ArchiveName: &name})
	switch {
	case notThere(err):
		d.wrong(checkArchive, "there is no archive "+name+", so nothing can be replayed", d.provision())
		d.unchecked("there is no archive", pattern)
		return
	case err != nil:
		d.unchecked(trouble("events:DescribeArchive", err), checkArchive, pattern)
		return
	}
	switch a.State {
	case eventtypes.ArchiveStateCreateFailed: // it holds nothing
		d.wrong(checkArchive, fmt.Sprintf("%s could not be created: %s", name, oneLine(aws.ToString(a.StateReason))),
			"aws events delete-archive --archive-name "+name+", then "+d.provision())
	case eventtypes.ArchiveStateDisabled, eventtypes.ArchiveStateUpdateFailed:
		d.wrong(checkArchive, fmt.Sprintf("%s is %s: %s", name, a.State, oneLine(aws.ToString(a.StateReason))),
			"mend what aws events describe-archive --archive-name "+name+" names as the reason, often its key")
	default:
		d.fine(checkArchive, fmt.Sprintf("%s holds %d events", name, a.EventCount))
	}
	if p := aws.ToString(a.EventPattern); p != "" {
		d.pattern(ctx, pattern, p)
	} else {
		d.fine(pattern, "every event of the bus")
	}
}

// listable asks whether the executions of a state machine may be listed.
func (d *doctor) listable(ctx context.Context, machine string) (problem, cure string) {
	const express = "it is an Express state machine, and those emit no events"
	const standard = "use a Standard state machine, or take it out of STATE_MACHINES"
	m, err := d.states.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: &machine})
	if err == nil && m.Type == sfntypes.StateMachineTypeExpress {
		return express, standard
	}
	_, err = d.states.ListExecutions(ctx, &sfn.ListExecutionsInput{StateMachineArn: &machine, MaxResults: 1})
	switch {
	case err == nil:
		return "", ""
	case hasCode(err, "StateMachineTypeNotSupported"):
		return express, standard
	case notThere(err):
		return "there is no such state machine", "check STATE_MACHINES, the account and AWS_REGION"
	case denied(err):
		return "its executions may not be listed, so the audit cannot find lost events", "grant states:ListExecutions on " + machine
	}
	return "not checked: " + trouble("states:ListExecutions", err), ""
}

// describable asks for an execution that never was: whoever may ask is told that.
func (d *doctor) describable(ctx context.Context, check, machine string) {
	execution := strings.Replace(machine, ":stateMachine:", ":execution:", 1) + ":statusctl-doctor"
	_, err := d.states.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: &execution})
	switch {
	case err == nil || notThere(err):
		d.fine(check, "executions may be listed and described")
	case denied(err):
		d.wrong(check, "its executions may not be described, so outputs left out of events stay out",
			"grant states:DescribeExecution on "+strings.Replace(machine, ":stateMachine:", ":execution:", 1)+":*")
	default:
		d.unchecked(trouble("states:DescribeExecution", err), check)
	}
}
