package operate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsarn "github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"statuscache/cache"
	"statuscache/ingest/internal/awscall"
)

// archiveDays is how long archived events are kept. They hold inputs and outputs, and an
// event older than RETENTION is of no use.
const archiveDays = 30

// The longest names that EventBridge and SQS accept, in characters.
const (
	maxRuleName    = 64
	maxArchiveName = 48
	maxQueueName   = 80
)

// Plan is what Provision makes.
type Plan struct {
	Name          string       // of the queue, the rule and the archive
	EventBus      string       // name or ARN; empty: the default one
	StateMachines []string     // ARNs; with the default bus all in one region and account
	ChangeRules   []string     // names of rules made by others that may be changed
	Archive       ArchiveScope // empty: ArchiveAll
	DryRun        bool         // change nothing
}

// Step is one thing that Provision has made, changed or checked.
type Step struct {
	What   string     `json:"what"`
	Name   string     `json:"name"`
	Result StepResult `json:"result"`
	Detail string     `json:"detail,omitempty"`
}

// StepResult is the result of a step, or what it would be.
type StepResult string

// The results of a step.
const (
	Created     StepResult = "created"
	Changed     StepResult = "changed"
	Unchanged   StepResult = "ok"
	NotChecked  StepResult = "not checked"
	WouldCreate StepResult = "would create"
	WouldChange StepResult = "would change"
)

// Provisioned are the settings for statusd and statusctl.
type Provisioned struct {
	Region        string   `json:"region"`
	QueueURL      string   `json:"queueUrl"` // empty in a dry run that has not found one
	StateMachines []string `json:"stateMachines"`
	EventBus      string   `json:"eventBus"` // name
}

// Provision makes or repairs everything between Step Functions and the queue. It keeps
// what others made and removes nothing, so it can run again at any time. Each step is
// reported.
//
// Rules are found by their targets. If the rules present send all events to the queue,
// no rule is made. A rule that others made is only changed if the plan names it.
//
// The error says what is missing. What was left unchanged is an error as well, returned
// beside the settings.
func (o *Operator) Provision(ctx context.Context, plan Plan, report func(Step)) (Provisioned, error) {
	plan.EventBus, plan.Archive = busName(plan.EventBus), cmp.Or(plan.Archive, ArchiveAll)
	p := &provision{Operator: o, plan: plan, report: report}
	if err := plan.check(o.config.Region); err != nil {
		return Provisioned{}, err
	}
	for _, part := range []func(context.Context) error{
		p.stateMachines, p.look, p.deadLetters, p.theQueue, p.rules, p.policies, p.targets, p.archive,
	} {
		if err := part(ctx); err != nil {
			return Provisioned{}, err
		}
	}
	made := Provisioned{o.config.Region, p.queue.url, plan.StateMachines, plan.EventBus}
	if len(p.left) > 0 {
		return made, errors.New(strings.Join(p.left, "\n"))
	}
	return made, nil
}

var planName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

func (p Plan) check(region string) error {
	if !planName.MatchString(p.Name) {
		return fmt.Errorf("--name: %q must be 1 to %d letters, digits, hyphens and underscores", p.Name, maxQueueName)
	}
	if len(p.StateMachines) == 0 {
		return errors.New("--state-machine: none given; name the state machines to follow")
	}
	if p.Archive != ArchiveAll && p.Archive != ArchiveTerminal {
		return fmt.Errorf("--archive: %q must be %s or %s", p.Archive, ArchiveAll, ArchiveTerminal)
	}
	account := cache.MachineARN(p.StateMachines[0]).Account()
	for _, text := range p.StateMachines {
		switch machine, err := cache.ParseMachineARN(text); {
		case err != nil:
			return fmt.Errorf("--state-machine: %q is %w", text, err)
		case p.EventBus != DefaultBus: // it collects events of any region and account
		case machine.Region() != region:
			return fmt.Errorf("--state-machine: %s is in %s and AWS_REGION is %s; its events stay in its region, so set AWS_REGION=%s", machine, machine.Region(), region, machine.Region())
		case machine.Account() != account:
			return errors.New("--state-machine: the state machines are of several accounts; provision each account for itself, or name the bus that gathers their events with --event-bus")
		}
	}
	return nil
}

// provision is one run of Provision.
type provision struct {
	*Operator
	plan   Plan
	report func(Step)
	left   []string // what had to be left unchanged, one line each

	place      awsarn.ARN // of what is made: its partition, region and account
	queue      *queue     // url is empty until it is made
	dead       *queue     // of the consumer
	routes     []*route
	ruleChange ruleChange

	ruleDeads []*queue // of the rules that have one
	ruleDead  *queue   // for rules that have none yet; nil: not needed
}

// do makes a change, unless this is a dry run, and reports it.
func (p *provision) do(s Step, change func() error) error {
	if p.plan.DryRun {
		s.Result = map[StepResult]StepResult{Created: WouldCreate, Changed: WouldChange}[s.Result]
	} else if err := change(); err != nil {
		return fmt.Errorf("%s %s: %w", s.What, s.Name, err)
	}
	p.report(s)
	return nil
}

func (p *provision) fine(what, name string) {
	p.report(Step{What: what, Name: name, Result: Unchanged})
}

// arn returns an ARN in our region and account.
func (p *provision) arn(service, resource string) string {
	a := p.place
	a.Service, a.Resource = service, resource
	return a.String()
}

// ruleARN returns the ARN of a rule on our bus.
func (p *provision) ruleARN(name string) string {
	if p.plan.EventBus != DefaultBus {
		name = p.plan.EventBus + "/" + name
	}
	return p.arn("events", "rule/"+name)
}

// may reports whether a rule may be changed.
func (p *provision) may(r *route) bool {
	return r.ours() || slices.Contains(p.plan.ChangeRules, r.name())
}

// leave notes what would have to change in a rule that others made.
func (p *provision) leave(r *route, what string) {
	p.left = append(p.left, fmt.Sprintf("rule %s was not made by statusctl provision, so it was left as it is; to have it changed (%s), add --change-rule %s", r.shown(), what, r.name()))
}

// look reads what exists, so that it can be kept.
func (p *provision) look(ctx context.Context) error {
	var err error
	if p.place, err = p.placeOf(ctx); err != nil {
		return err
	}
	if p.queue, err = p.find(ctx, p.plan.Name); err != nil {
		return err
	}
	if p.routes, err = p.routesTo(ctx, p.queue, p.plan.EventBus); err != nil {
		return err
	}
	if err := checkOnBus(p.routes, p.plan.EventBus); err != nil {
		return err
	}
	if len(p.routes) == 0 {
		if err := p.named(ctx); err != nil {
			return err
		}
	}
	samples, err := samplesOf(p.plan.StateMachines)
	if err == nil {
		p.ruleChange, err = planRuleChange(p.routes, samples)
	}
	return err
}

// named adopts the rule with our name, if there is one, though it does not lead to the
// queue.
func (p *provision) named(ctx context.Context) error {
	r, err := p.routeOf(ctx, p.plan.EventBus, truncate(p.plan.Name, maxRuleName), p.queue.arn())
	switch {
	case awscall.NotFound(err):
		return nil
	case err != nil:
		return err
	case !p.may(r):
		return fmt.Errorf("rule %s was not made by statusctl provision and does not send to the queue; to make it send there too, add --change-rule %s, or choose another name with --name", r.shown(), r.name())
	}
	p.routes = []*route{r}
	return nil
}

// placeOf returns partition, region and account of everything that is made. A bus that
// collects events of other accounts is in ours.
func (p *provision) placeOf(ctx context.Context) (awsarn.ARN, error) {
	text := p.plan.StateMachines[0]
	if bus := p.plan.EventBus; bus != DefaultBus {
		found, err := p.events.DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: &bus})
		if awscall.NotFound(err) {
			return awsarn.ARN{}, fmt.Errorf("--event-bus: there is no event bus %s in this region; make it, and let the other accounts send to it", bus)
		}
		if err != nil {
			return awsarn.ARN{}, awscall.WithPermission("events:DescribeEventBus", err)
		}
		text = aws.ToString(found.Arn)
	}
	return awsarn.Parse(text)
}
