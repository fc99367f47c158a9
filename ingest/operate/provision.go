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

// archiveDays is how long archived events are kept. They contain inputs and outputs, and
// events older than RETENTION are not needed.
const archiveDays = 30

// The longest names that EventBridge and SQS accept, in characters.
const (
	maxRuleName    = 64
	maxArchiveName = 48
	maxQueueName   = 80
)

// Plan is what Provision must create.
type Plan struct {
	Name          string       // of the queue, the rule and the archive
	EventBus      string       // name or ARN; empty: the default one
	StateMachines []string     // ARNs; with the default bus all in one region and account
	ChangeRules   []string     // names of rules that Provision did not create but may change
	Archive       ArchiveScope // empty: ArchiveAll
	DryRun        bool         // change nothing
}

// Step is one resource that Provision has created, changed or checked.
type Step struct {
	What   string     `json:"what"`
	Name   string     `json:"name"`
	Result StepResult `json:"result"`
	Detail string     `json:"detail,omitempty"`
}

// StepResult is the result of a step, or the result in a dry run.
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

// Provision creates or corrects everything between Step Functions and the queue. It keeps
// the resources of others and removes nothing, so it can run again at any time. Each step
// is reported.
//
// Rules are found by their targets. If the existing rules send all events to the queue,
// no rule is created. A rule that Provision did not create is only changed if the plan
// names it.
//
// The error says what is missing. If something had to be left unchanged, this is an error
// as well, returned together with the settings.
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
		return errors.New("--state-machine: not set; give the state machines to follow")
	}
	if p.Archive != ArchiveAll && p.Archive != ArchiveTerminal {
		return fmt.Errorf("--archive: %q must be %s or %s", p.Archive, ArchiveAll, ArchiveTerminal)
	}
	account := cache.MachineARN(p.StateMachines[0]).Account()
	for _, text := range p.StateMachines {
		switch machine, err := cache.ParseMachineARN(text); {
		case err != nil:
			return fmt.Errorf("--state-machine: %q is %w", text, err)
		case p.EventBus != DefaultBus: // such a bus collects events of any region and account
		case machine.Region() != region:
			return fmt.Errorf("--state-machine: %s is in %s, but AWS_REGION is %s; its events stay in its region, so set AWS_REGION=%s", machine, machine.Region(), region, machine.Region())
		case machine.Account() != account:
			return errors.New("--state-machine: the state machines are in several accounts; provision each account separately, or use --event-bus to name the bus that collects their events")
		}
	}
	return nil
}

// provision is one run of Provision.
type provision struct {
	*Operator
	plan   Plan
	report func(Step)
	left   []string // resources that had to be left unchanged, one line each

	place      awsarn.ARN // partition, region and account of the created resources
	queue      *queue     // url is empty until the queue is created
	dead       *queue     // of the consumer
	routes     []*route
	ruleChange ruleChange

	ruleDeads []*queue // dead-letter queues of the rules that have one
	ruleDead  *queue   // dead-letter queue for rules that have none yet; nil: not needed
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

// leave notes a change that is needed in a rule that Provision did not create.
func (p *provision) leave(r *route, what string) {
	p.left = append(p.left, fmt.Sprintf("statusctl provision did not create rule %s, so it was not changed; to allow this change (%s), add --change-rule %s", r.shown(), what, r.name()))
}

// look reads the existing resources, so that they can be kept.
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

// named adopts the rule with our name, if there is one, although it does not lead to the
// queue.
func (p *provision) named(ctx context.Context) error {
	r, err := p.routeOf(ctx, p.plan.EventBus, truncate(p.plan.Name, maxRuleName), p.queue.arn())
	switch {
	case awscall.NotFound(err):
		return nil
	case err != nil:
		return err
	case !p.may(r):
		return fmt.Errorf("statusctl provision did not create rule %s, and the rule does not send to the queue; to make it send there too, add --change-rule %s, or choose another name with --name", r.shown(), r.name())
	}
	p.routes = []*route{r}
	return nil
}

// placeOf returns the partition, region and account of the created resources. A bus that
// collects events of other accounts is in our account.
func (p *provision) placeOf(ctx context.Context) (awsarn.ARN, error) {
	text := p.plan.StateMachines[0]
	if bus := p.plan.EventBus; bus != DefaultBus {
		found, err := p.events.DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: &bus})
		if awscall.NotFound(err) {
			return awsarn.ARN{}, fmt.Errorf("--event-bus: there is no event bus %s in this region; create it, and allow the other accounts to send to it", bus)
		}
		if err != nil {
			return awsarn.ARN{}, awscall.WithPermission("events:DescribeEventBus", err)
		}
		text = aws.ToString(found.Arn)
	}
	return awsarn.Parse(text)
}
