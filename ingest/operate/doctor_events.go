package operate

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"statuscache/cache"
	"statuscache/cache/diagnose"
	"statuscache/ingest/internal/awscall"
)

// Names of checks.
const (
	checkBus        = "event bus"
	checkRule       = "rule"
	checkPattern    = "rule pattern"
	checkPolicy     = "queue policy"
	checkTarget     = "target"
	checkRuleDead   = "dead-letter queue of the rule"
	checkRulePolicy = "policy of the rule's dead-letter queue"
	checkArchive    = "archive"
	checkArchived   = "archive pattern"
)

// theRoute checks the rules that lead to the queue, their targets and what they need.
func (d *doctor) theRoute(ctx context.Context) {
	rest := []string{checkPattern, checkPolicy, checkTarget, checkRuleDead, checkRulePolicy}
	if d.queue == nil {
		d.unchecked("the queue cannot be read", append(rest, checkRule)...)
		return
	}
	var err error
	d.routes, err = d.routesOf(ctx, d.setUp.EventPath, d.queue)
	if err == nil && len(d.routes) == 0 {
		d.routes, err = d.routesOf(ctx, EventPath{EventBus: d.bus, Rule: truncate(d.queue.name(), maxRuleName)}, d.queue)
	}
	switch {
	case awscall.NotFound(err):
		d.noRule(ctx)
		d.unchecked("there is no rule", rest...)
		return
	case err != nil:
		d.unchecked(err.Error(), append(rest, checkRule)...)
		return
	}
	if checkOnBus(d.routes, d.bus) != nil {
		d.wrong(checkBus, fmt.Sprintf("the rule of the queue is %s, which is not on the event bus in EVENT_BUS, %s", namesOf(d.routes), d.bus), "set EVENT_BUS="+d.routes[0].bus)
		d.bus = d.routes[0].bus
	}
	d.rules()
	d.sendPolicy(checkPolicy, d.queue, d.routes)
	d.targets(ctx)
}

// noRule reports a missing rule or a missing bus.
func (d *doctor) noRule(ctx context.Context) {
	if _, err := d.events.DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: &d.bus}); awscall.NotFound(err) {
		d.wrong(checkBus, "there is no event bus "+d.bus, "set EVENT_BUS to the bus of the rule, or create the bus: aws events create-event-bus --name "+d.bus)
		d.unchecked("there is no such event bus", checkRule)
		return
	}
	if d.setUp.Rule == "" {
		d.wrong(checkRule, "no rule sends to the queue", d.provision())
		return
	}
	others, err := d.routesTo(ctx, d.queue, d.bus)
	if err == nil && len(others) > 0 {
		d.wrong(checkRule, "there is no rule "+d.setUp.Rule, "omit --rule: "+namesOf(others)+" leads to the queue")
		return
	}
	d.wrong(checkRule, "there is no rule "+d.setUp.Rule, d.provision())
}

// rules checks what the rules send together: each status of each state machine must
// match one of them.
func (d *doctor) rules() {
	samples, err := samplesOf(d.setUp.StateMachines)
	var m ruleChange
	if err == nil {
		m, err = planRuleChange(d.routes, samples)
	}
	if r := m.route; r != nil && !r.ours() && len(m.missing) > 0 {
		d.change = append(d.change, r.name())
	}
	for _, r := range d.routes {
		if !r.ours() && len(r.lacks()) > 0 && !slices.Contains(d.change, r.name()) {
			d.change = append(d.change, r.name())
		}
	}
	d.enabled(m)
	switch {
	case len(d.setUp.StateMachines) == 0:
		d.unchecked("STATE_MACHINES is not set, so the events to match are not known", checkPattern)
	case err != nil:
		d.unchecked(err.Error(), checkPattern)
	case len(m.missing) == 0:
		d.fine(checkPattern, fmt.Sprintf("the rules send every status of %d state machines and their Map children", len(d.setUp.StateMachines)))
	case m.why != nil:
		d.wrong(checkPattern, "no rule sends "+nameSamples(m.missing),
			fmt.Sprintf("change the event pattern of rule %s with aws events put-rule; statusctl cannot change it because %v", m.route.shown(), m.why))
	default:
		d.wrong(checkPattern, "no rule sends "+nameSamples(m.missing), d.provision())
	}
}

// enabled reports a disabled rule that is needed. If it is not known which rules are
// needed, all are.
func (d *doctor) enabled(m ruleChange) {
	off := m.route
	if len(d.setUp.StateMachines) == 0 {
		if i := slices.IndexFunc(d.routes, func(r *route) bool { return !r.enabled() }); i >= 0 {
			off = d.routes[i]
		}
	}
	if off == nil || off.enabled() {
		d.fine(checkRule, namesOf(d.routes))
		return
	}
	fix := "aws events enable-rule --name " + off.name()
	if off.bus != DefaultBus {
		fix += " --event-bus-name " + off.bus
	}
	d.wrong(checkRule, off.shown()+" is disabled", fix)
}

// targets checks how each rule sends to the queue.
func (d *doctor) targets(ctx context.Context) {
	var fine []string
	dead := map[string][]*route{}
	for _, r := range d.routes {
		switch {
		case r.target == nil:
			d.wrong(checkTarget, "rule "+r.shown()+" does not send to "+d.queue.arn(), d.provision())
			d.unchecked("the rule does not send to the queue", checkRuleDead, checkRulePolicy)
			return
		case r.transforms():
			d.wrong(checkTarget, "rule "+r.shown()+" changes the events, so that they cannot be decoded", d.provision())
		case r.via != "":
			fine = append(fine, aws.ToString(r.target.Id)+" through "+r.via)
			continue
		default:
			fine = append(fine, aws.ToString(r.target.Id))
		}
		dead[r.deadLetterARN()] = append(dead[r.deadLetterARN()], r)
	}
	if len(fine) == len(d.routes) {
		d.fine(checkTarget, strings.Join(fine, ", "))
	}
	for _, arn := range slices.Sorted(maps.Keys(dead)) {
		if arn == "" {
			d.wrong(checkRuleDead, "rule "+namesOf(dead[arn])+" has none, so events that it cannot send are lost", d.provision())
			d.unchecked("there is no such queue", checkRulePolicy)
			continue
		}
		if q := d.deadLetters(ctx, checkRuleDead, arn); q != nil {
			d.sendPolicy(checkRulePolicy, q, dead[arn])
		} else {
			d.unchecked("the queue cannot be read", checkRulePolicy)
		}
	}
}

func (d *doctor) theArchive(ctx context.Context) {
	a, name, err := d.findArchive(ctx)
	switch {
	case name == "":
		d.unchecked("SQS_QUEUE_URL is not set", checkArchive, checkArchived)
		return
	case err != nil:
		d.unchecked(err.Error(), checkArchive, checkArchived)
		return
	case a == nil:
		d.wrong(checkArchive, "there is no archive "+name+", so nothing can be replayed", d.provision())
		d.unchecked("there is no archive", checkArchived)
		return
	}
	name = aws.ToString(a.ArchiveName)
	switch a.State {
	case eventtypes.ArchiveStateCreateFailed: // it contains nothing
		d.wrong(checkArchive, fmt.Sprintf("%s could not be created: %s", name, awscall.OneLine(aws.ToString(a.StateReason))),
			"aws events delete-archive --archive-name "+name+", then "+d.provision())
	case eventtypes.ArchiveStateDisabled, eventtypes.ArchiveStateUpdateFailed:
		d.wrong(checkArchive, fmt.Sprintf("%s is %s: %s", name, a.State, awscall.OneLine(aws.ToString(a.StateReason))),
			"run aws events describe-archive --archive-name "+name+" and remove the cause that it shows, often the KMS key")
	default:
		d.fine(checkArchive, fmt.Sprintf("%s contains %d events", name, a.EventCount))
	}
	d.archived(aws.ToString(a.EventPattern))
}

// findArchive returns the named archive, or otherwise one that contains the events, and
// the name that it has or should have; an empty name means not known.
func (d *doctor) findArchive(ctx context.Context) (*eventbridge.DescribeArchiveOutput, string, error) {
	name := d.setUp.Archive
	if name != "" || d.queue == nil {
		name = truncate(cmp.Or(name, lastPart(d.setUp.QueueURL)), maxArchiveName)
		if name == "" {
			return nil, "", nil
		}
		a, err := d.archiveNamed(ctx, name)
		return a, name, err
	}
	name = truncate(d.queue.name(), maxArchiveName)
	samples, err := samplesOf(d.setUp.StateMachines)
	if err != nil {
		return nil, name, err
	}
	busARN := strings.Replace(strings.TrimSuffix(d.queue.arn(), d.queue.name()), ":sqs:", ":events:", 1) + "event-bus/" + d.bus
	a, err := d.archiveFor(ctx, busARN, name, samples)
	if err == nil && (a == nil || !keeps(a, busARN, samples)) {
		a, err = d.archiveFor(ctx, busARN, name, ArchiveTerminal.of(samples))
	}
	return a, name, err
}

// archived checks the content of an archive.
func (d *doctor) archived(pattern string) {
	samples, err := samplesOf(d.setUp.StateMachines)
	var left []sample
	if err == nil && pattern != "" {
		left, err = unmatched([]string{pattern}, samples)
	}
	if err == nil {
		d.scope, err = scopeOf(pattern, samples)
	}
	switch {
	case pattern == "":
		d.fine(checkArchived, "every event of the bus")
	case len(d.setUp.StateMachines) == 0:
		d.unchecked("STATE_MACHINES is not set, so the events to match are not known", checkArchived)
	case err != nil:
		d.unchecked(err.Error(), checkArchived)
	case d.scope == ArchiveTerminal:
		d.fine(checkArchived, fmt.Sprintf("it contains the terminal states of %d state machines and their Map children; a replay does not restore running executions, but the audit does", len(d.setUp.StateMachines)))
	case len(left) > 0:
		d.wrong(checkArchived, "it does not contain "+nameSamples(left), d.provision())
	default:
		d.fine(checkArchived, fmt.Sprintf("it contains every status of %d state machines and their Map children", len(d.setUp.StateMachines)))
	}
}

// listable checks whether the executions of a state machine may be listed.
func (d *doctor) listable(ctx context.Context, machine string) (problem, fix string) {
	const express = "it is an Express state machine, which emits no events"
	const standard = "use a Standard state machine, or remove it from STATE_MACHINES"
	m, err := d.states.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: &machine})
	if err == nil && m.Type == sfntypes.StateMachineTypeExpress {
		return express, standard
	}
	_, err = d.states.ListExecutions(ctx, &sfn.ListExecutionsInput{StateMachineArn: &machine, MaxResults: 1})
	switch {
	case err == nil:
		return "", ""
	case awscall.HasCode(err, "StateMachineTypeNotSupported"):
		return express, standard
	case awscall.NotFound(err):
		return "there is no such state machine", "check STATE_MACHINES, the account and AWS_REGION"
	case awscall.Denied(err):
		return "the permission to list its executions is missing, so the audit cannot find lost events", "grant states:ListExecutions on " + machine
	}
	return diagnose.NotChecked("", awscall.ExplainError("states:ListExecutions", err)).Problem, ""
}

// describable describes an execution that does not exist. With the permission, the answer
// is that it does not exist.
func (d *doctor) describable(ctx context.Context, check, machine string) {
	execution := string(cache.MachineARN(machine).Execution("statusctl-doctor"))
	_, err := d.states.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: &execution})
	switch {
	case err == nil || awscall.NotFound(err):
		d.fine(check, "executions can be listed and described")
	case awscall.Denied(err):
		d.wrong(check, "the permission to describe its executions is missing, so outputs that events left out cannot be fetched",
			"grant states:DescribeExecution on "+string(cache.MachineARN(machine).Execution("*")))
	default:
		d.unchecked(awscall.ExplainError("states:DescribeExecution", err), check)
	}
}
