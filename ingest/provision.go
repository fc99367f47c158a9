package ingest

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

// How long archived events are kept, in days. They hold inputs and outputs, and
// replaying what RETENTION has let go is of no use.
const archiveDays = 30

// Retries of EventBridge towards the queue, the most that there are.
const (
	retryAge   = 24 * 60 * 60 // seconds
	retryCount = 185
)

// Plan says what Provision makes.
type Plan struct {
	Name          string   // of the rule, the queue and the archive
	StateMachines []string // ARNs of one region and account
	DryRun        bool     // change nothing
}

// Step is one thing that Provision has seen to.
type Step struct {
	What   string  `json:"what"`
	Name   string  `json:"name"`
	Result Outlook `json:"result"`
	Detail string  `json:"detail,omitempty"`
}

// Outlook is what became of a step, or would.
type Outlook string

// The outcomes of a step.
const (
	Created     Outlook = "created"
	Changed     Outlook = "changed"
	Fine        Outlook = "ok"
	WouldCreate Outlook = "would create"
	WouldChange Outlook = "would change"
)

// Provisioned is what statusd needs to know.
type Provisioned struct {
	Region        string   `json:"region"`
	QueueURL      string   `json:"queueUrl"` // empty: not made yet, in a dry run
	StateMachines []string `json:"stateMachines"`
}

// Provision makes or mends everything between Step Functions and the queue. It
// adds to what others have put there and takes nothing away, so it can be run again
// at any time. told hears of each step. Its error names what is missing.
func (o *Operator) Provision(ctx context.Context, plan Plan, told func(Step)) (Provisioned, error) {
	p := &provision{Operator: o, plan: plan, told: told}
	if err := plan.check(o.config.Region); err != nil {
		return Provisioned{}, err
	}
	for _, part := range []func(context.Context) error{
		p.look, p.deadLetters, p.theQueue, p.theRule, p.policies, p.theTarget, p.archive,
	} {
		if err := part(ctx); err != nil {
			return Provisioned{}, err
		}
	}
	return Provisioned{o.config.Region, p.queue.url, plan.StateMachines}, nil
}

var planName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,48}$`)

func (p Plan) check(region string) error {
	if !planName.MatchString(p.Name) {
		return fmt.Errorf("--name: %q must be 1 to 48 letters, digits, hyphens and underscores", p.Name)
	}
	if len(p.StateMachines) == 0 {
		return errors.New("--state-machine: none given; name the state machines whose executions are to be known")
	}
	place := func(arn string) string { return strings.Join(strings.SplitN(arn, ":", 6)[:5], ":") }
	for _, machine := range p.StateMachines {
		if parts := strings.Split(machine, ":"); len(parts) != 7 || parts[5] != "stateMachine" || parts[6] == "" {
			return fmt.Errorf("--state-machine: %q is not the ARN of a state machine", machine)
		} else if parts[3] != region {
			return fmt.Errorf("--state-machine: %s is in %s and AWS_REGION is %s; its events stay in its region, so set AWS_REGION=%s", machine, parts[3], region, parts[3])
		}
		if place(machine) != place(p.StateMachines[0]) {
			return errors.New("--state-machine: the state machines are of several accounts; provision each account for itself")
		}
	}
	return nil
}

// provision is one run of Provision.
type provision struct {
	*Operator
	plan Plan
	told func(Step)

	queue    *queue // url is empty until it is made
	dead     *queue // of the consumer
	ruleDead *queue // of the rule
	route    *route // nil: there is no rule yet
	rule     string // ARN
}

// do makes a change, unless this is a dry run, and tells of it.
func (p *provision) do(s Step, change func() error) error {
	if p.plan.DryRun {
		s.Result = map[Outlook]Outlook{Created: WouldCreate, Changed: WouldChange}[s.Result]
	} else if err := change(); err != nil {
		return fmt.Errorf("%s %s: %w", s.What, s.Name, err)
	}
	p.told(s)
	return nil
}

func (p *provision) fine(what, name string) { p.told(Step{What: what, Name: name, Result: Fine}) }

// arn returns what the ARN of something in our region and account is.
func (p *provision) arn(service, resource string) string {
	parts := strings.SplitN(p.plan.StateMachines[0], ":", 6)
	return strings.Join([]string{"arn", parts[1], service, parts[3], parts[4], resource}, ":")
}

// look reads what is there, so that what others chose is kept.
func (p *provision) look(ctx context.Context) error {
	var err error
	if p.queue, err = p.find(ctx, p.plan.Name); err != nil {
		return err
	}
	p.rule = p.arn("events", "rule/"+p.plan.Name)
	p.route, err = p.routeOf(ctx, p.plan.Name, p.queue.arn())
	if notThere(err) {
		return nil
	}
	if err == nil {
		p.rule = aws.ToString(p.route.rule.Arn)
	}
	return err
}

func (p *provision) theRule(ctx context.Context) error {
	in := &eventbridge.PutRuleInput{
		Name: &p.plan.Name, State: eventtypes.RuleStateEnabled,
		Description: aws.String("Status changes of Step Functions executions, for the status cache"),
	}
	present, step := "", Step{What: "rule", Name: p.plan.Name, Result: Created}
	if p.route != nil {
		// PutRule replaces the whole rule.
		was := p.route.rule
		present, step.Result = aws.ToString(was.EventPattern), Changed
		in.Description, in.RoleArn, in.ScheduleExpression = was.Description, was.RoleArn, was.ScheduleExpression
		if was.State != eventtypes.RuleStateDisabled {
			in.State = was.State
		}
	}
	pattern, widened, err := widenPattern(present, p.plan.StateMachines)
	if err != nil {
		return err
	}
	in.EventPattern = &pattern
	enabled := p.route == nil || p.route.rule.State != in.State
	if !widened && !enabled {
		p.fine(step.What, step.Name)
		return nil
	}
	if step.Result == Changed {
		step.Detail = strings.Join(changes(map[string]bool{"enabled": enabled, "event pattern": widened}), ", ")
	}
	return p.do(step, func() error {
		answer, err := p.events.PutRule(ctx, in)
		if err == nil {
			p.rule = aws.ToString(answer.RuleArn)
		}
		return failed("events:PutRule", err)
	})
}

func (p *provision) theTarget(ctx context.Context) error {
	target := eventtypes.Target{Id: aws.String(p.targetID()), Arn: aws.String(p.queue.arn())}
	step := Step{What: "target", Name: p.queue.arn(), Result: Created}
	if p.route != nil && p.route.target != nil {
		target, step.Result = *p.route.target, Changed
	}
	transforms := target.Input != nil || target.InputPath != nil || target.InputTransformer != nil
	noDeadLetters := target.DeadLetterConfig == nil
	if step.Result == Changed && !transforms && !noDeadLetters {
		p.fine(step.What, step.Name)
		return nil
	}
	if step.Result == Changed {
		step.Detail = strings.Join(changes(map[string]bool{"sends events as they are": transforms, "dead-letter queue": noDeadLetters}), ", ")
	}
	target.Input, target.InputPath, target.InputTransformer = nil, nil, nil
	if target.RetryPolicy == nil {
		target.RetryPolicy = &eventtypes.RetryPolicy{MaximumEventAgeInSeconds: aws.Int32(retryAge), MaximumRetryAttempts: aws.Int32(retryCount)}
	}
	target.DeadLetterConfig = &eventtypes.DeadLetterConfig{Arn: aws.String(p.ruleDead.arn())}
	return p.do(step, func() error {
		answer, err := p.events.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: &p.plan.Name, Targets: []eventtypes.Target{target}})
		if err == nil && answer.FailedEntryCount > 0 {
			return fmt.Errorf("events:PutTargets: %s", putFailure(answer.FailedEntries))
		}
		return failed("events:PutTargets", err)
	})
}

// putFailure tells of targets that were refused, in an answer that says 200.
func putFailure(entries []eventtypes.PutTargetsResultEntry) string {
	if len(entries) == 0 {
		return "the target was refused"
	}
	return aws.ToString(entries[0].ErrorCode) + ": " + oneLine(aws.ToString(entries[0].ErrorMessage))
}

// targetID returns an ID that no target of others has: PutTargets replaces.
func (p *provision) targetID() string {
	id := p.plan.Name
	for n := 2; p.route != nil && taken(p.route.all, id); n++ {
		id = fmt.Sprintf("%s-%d", p.plan.Name, n)
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

func (p *provision) archive(ctx context.Context) error {
	step := Step{What: "archive", Name: p.plan.Name, Result: Created}
	was, err := p.events.DescribeArchive(ctx, &eventbridge.DescribeArchiveInput{ArchiveName: &p.plan.Name})
	if err != nil && !notThere(err) {
		return failed("events:DescribeArchive", err)
	}
	if err != nil {
		pattern, _, err := widenPattern("", p.plan.StateMachines)
		if err != nil {
			return err
		}
		return p.do(step, func() error {
			_, err := p.events.CreateArchive(ctx, &eventbridge.CreateArchiveInput{
				ArchiveName: &p.plan.Name, EventSourceArn: aws.String(busOf(p.rule)), EventPattern: &pattern,
				RetentionDays: aws.Int32(archiveDays), Description: aws.String("Status changes to replay into the status cache"),
			})
			return failed("events:CreateArchive", err)
		})
	}
	if aws.ToString(was.EventPattern) == "" { // every event of the bus
		p.fine(step.What, step.Name)
		return nil
	}
	pattern, widened, err := widenPattern(aws.ToString(was.EventPattern), p.plan.StateMachines)
	if err != nil || !widened {
		if err == nil {
			p.fine(step.What, step.Name)
		}
		return err
	}
	step.Result, step.Detail = Changed, "event pattern"
	return p.do(step, func() error {
		_, err := p.events.UpdateArchive(ctx, &eventbridge.UpdateArchiveInput{
			ArchiveName: &p.plan.Name, EventPattern: &pattern, Description: was.Description, RetentionDays: was.RetentionDays,
			KmsKeyIdentifier: was.KmsKeyIdentifier,
		})
		return failed("events:UpdateArchive", err)
	})
}
