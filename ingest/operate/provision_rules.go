package operate

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"statuscache/ingest/internal/awscall"
)

// Retries of EventBridge: the maximum.
const (
	retryAge   = 24 * 60 * 60 // seconds
	retryCount = 185
)

// stateMachines checks that the state machines exist. State machines of other accounts
// cannot be read.
func (p *provision) stateMachines(ctx context.Context) error {
	for _, machine := range p.plan.StateMachines {
		found, err := p.states.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: &machine})
		switch {
		case awscall.NotFound(err):
			return fmt.Errorf("--state-machine: there is no state machine %s; check its name, the account and the region", machine)
		case err != nil:
			p.report(Step{What: "state machine", Name: machine, Result: NotChecked, Detail: awscall.ExplainError("states:DescribeStateMachine", err)})
		case found.Type == sfntypes.StateMachineTypeExpress:
			return fmt.Errorf("--state-machine: %s is an Express state machine, which emits no events", machine)
		}
	}
	return nil
}

// creates reports whether a rule must be created.
func (p *provision) creates() bool { return p.ruleChange.needed() && p.ruleChange.route == nil }

// rules makes the rules that lead to the queue send all events.
func (p *provision) rules(ctx context.Context) error {
	for _, r := range p.routes {
		if r != p.ruleChange.route || !p.ruleChange.needed() {
			p.fine("rule", r.shown())
		}
	}
	switch r := p.ruleChange.route; {
	case p.creates():
		return p.makeRule(ctx)
	case r == nil || !p.ruleChange.needed():
		return nil
	case !p.may(r):
		p.leave(r, p.ruleChange.what())
		return nil
	}
	return p.changeRule(ctx)
}

// what describes the change in a few words, for a step.
func (m *ruleChange) what() string {
	return strings.Join(changes(map[string]bool{"enabled": m.enable, "event pattern": len(m.missing) > 0}), ", ")
}

func (p *provision) makeRule(ctx context.Context) error {
	name, err := p.freeRuleName(ctx)
	if err != nil {
		return err
	}
	pattern := p.ruleChange.pattern
	if len(p.routes) == 0 {
		pattern = patternFor(p.plan.StateMachines)
	}
	made := &route{bus: p.plan.EventBus, rule: &eventbridge.DescribeRuleOutput{
		Name: &name, Arn: aws.String(p.ruleARN(name)), EventPattern: &pattern, State: eventtypes.RuleStateEnabled, Description: aws.String(ruleDescription),
	}}
	p.routes = append(p.routes, made)
	return p.do(Step{What: "rule", Name: made.shown(), Result: Created}, func() error {
		answer, err := p.events.PutRule(ctx, &eventbridge.PutRuleInput{
			Name: &name, EventBusName: &made.bus, EventPattern: &pattern, State: made.rule.State, Description: made.rule.Description,
		})
		if err == nil {
			made.rule.Arn = answer.RuleArn
		}
		return awscall.WithPermission("events:PutRule", err)
	})
}

// freeRuleName returns a name that no rule of others has.
func (p *provision) freeRuleName(ctx context.Context) (string, error) {
	name := truncate(p.plan.Name, maxRuleName)
	for n := 2; ; n++ {
		_, err := p.events.DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: &name, EventBusName: &p.plan.EventBus})
		if awscall.NotFound(err) {
			return name, nil
		}
		if err != nil {
			return "", awscall.WithPermission("events:DescribeRule", err)
		}
		suffix := fmt.Sprintf("-%d", n)
		name = truncate(p.plan.Name, maxRuleName-len(suffix)) + suffix
	}
}

// changeRule changes a rule and keeps everything else: PutRule replaces the whole rule.
func (p *provision) changeRule(ctx context.Context) error {
	m := &p.ruleChange
	if m.why != nil {
		p.left = append(p.left, fmt.Sprintf("rule %s does not send %s, and cannot be changed: %s; choose another name with --name", m.route.shown(), nameSamples(m.missing), m.why))
		return nil
	}
	was := m.route.rule
	in := &eventbridge.PutRuleInput{
		Name: was.Name, EventBusName: &m.route.bus, EventPattern: was.EventPattern, State: was.State,
		Description: was.Description, RoleArn: was.RoleArn, ScheduleExpression: was.ScheduleExpression,
	}
	if m.enable {
		in.State = eventtypes.RuleStateEnabled
	}
	if m.pattern != "" {
		in.EventPattern = &m.pattern
	}
	return p.do(Step{What: "rule", Name: m.route.shown(), Result: Changed, Detail: m.what()}, func() error {
		_, err := p.events.PutRule(ctx, in)
		return awscall.WithPermission("events:PutRule", err)
	})
}

// targets makes each rule send unchanged events, and send events that it cannot deliver
// to a dead-letter queue.
func (p *provision) targets(ctx context.Context) error {
	for _, r := range p.routes {
		lacks := r.lacks()
		switch {
		case len(lacks) == 0:
			p.fine("target", p.queue.arn())
		case !p.may(r):
			p.leave(r, strings.Join(lacks, ", "))
		default:
			if err := p.putTarget(ctx, r, lacks); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *provision) putTarget(ctx context.Context, r *route, lacks []string) error {
	target := eventtypes.Target{Id: aws.String(r.freeTargetID(truncate(p.plan.Name, maxRuleName-2))), Arn: aws.String(p.queue.arn())}
	step := Step{What: "target", Name: p.queue.arn(), Result: Created}
	if r.target != nil {
		target, step.Result, step.Detail = *r.target, Changed, strings.Join(lacks, ", ")
	}
	target.Input, target.InputPath, target.InputTransformer = nil, nil, nil
	if target.RetryPolicy == nil {
		target.RetryPolicy = &eventtypes.RetryPolicy{MaximumEventAgeInSeconds: aws.Int32(retryAge), MaximumRetryAttempts: aws.Int32(retryCount)}
	}
	if target.DeadLetterConfig == nil {
		target.DeadLetterConfig = &eventtypes.DeadLetterConfig{Arn: aws.String(p.ruleDead.arn())}
	}
	return p.do(step, func() error {
		answer, err := p.events.PutTargets(ctx, &eventbridge.PutTargetsInput{
			Rule: r.rule.Name, EventBusName: &r.bus, Targets: []eventtypes.Target{target},
		})
		if err == nil && answer.FailedEntryCount > 0 {
			return fmt.Errorf("events:PutTargets: %s", putFailure(answer.FailedEntries))
		}
		return awscall.WithPermission("events:PutTargets", err)
	})
}

// putFailure returns the error of targets that were refused in an answer with status
// 200.
func putFailure(entries []eventtypes.PutTargetsResultEntry) string {
	if len(entries) == 0 {
		return "the target was refused"
	}
	return aws.ToString(entries[0].ErrorCode) + ": " + awscall.OneLine(aws.ToString(entries[0].ErrorMessage))
}

// freeTargetID returns an ID that no target of others has: PutTargets replaces targets
// by their ID.
func (r *route) freeTargetID(name string) string {
	id := name
	for n := 2; taken(r.all, id); n++ {
		id = fmt.Sprintf("%s-%d", name, n)
	}
	return id
}

func taken(targets []eventtypes.Target, id string) bool {
	for _, t := range targets {
		if aws.ToString(t.Id) == id {
			return true
		}
	}
	return false
}
