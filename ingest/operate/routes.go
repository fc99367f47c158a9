package operate

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"statuscache/ingest/internal/awscall"
)

// DefaultBus is the event bus that Step Functions sends to. Rules there may forward to a
// bus that collects the events of several accounts.
const DefaultBus = "default"

// ruleDescription marks rules that Provision has created.
const ruleDescription = "Status changes of Step Functions executions, for the status cache"

// route is a rule that leads to the queue.
type route struct {
	bus    string // name
	via    string // ARN of the topic through which the events come; empty: none
	rule   *eventbridge.DescribeRuleOutput
	target *eventtypes.Target // nil: the rule does not send to the queue, nor to the topic
	all    []eventtypes.Target
}

func (r *route) name() string    { return aws.ToString(r.rule.Name) }
func (r *route) arn() string     { return aws.ToString(r.rule.Arn) }
func (r *route) pattern() string { return aws.ToString(r.rule.EventPattern) }
func (r *route) enabled() bool   { return r.rule.State != eventtypes.RuleStateDisabled }

// ours reports whether Provision has created the rule. It must not change other rules.
func (r *route) ours() bool {
	return aws.ToString(r.rule.Description) == ruleDescription && aws.ToString(r.rule.ManagedBy) == ""
}

// mayBeWidened reports whether the rule may send more events: it is ours, or it sends
// only to the queue.
func (r *route) mayBeWidened() bool {
	return r.ours() || len(r.all) == 0 || len(r.all) == 1 && r.target != nil && r.via == ""
}

// shown is the displayed name of a rule.
func (r *route) shown() string {
	if r.bus == DefaultBus {
		return r.name()
	}
	return r.name() + " on event bus " + r.bus
}

func (r *route) deadLetterARN() string {
	if r.target == nil || r.target.DeadLetterConfig == nil {
		return ""
	}
	return aws.ToString(r.target.DeadLetterConfig.Arn)
}

// transforms reports whether the target changes events so that they cannot be decoded.
// The path $ is the whole event; the detail alone can be decoded, too.
func (r *route) transforms() bool {
	t := r.target
	return t != nil && (t.Input != nil || t.InputTransformer != nil || t.InputPath != nil && !slices.Contains([]string{"$", "$.detail"}, *t.InputPath))
}

// lacks returns what is wrong with the target, in a few words for a step. The owner of a
// topic is responsible for what the topic does.
func (r *route) lacks() []string {
	if r.via != "" {
		return nil
	}
	if r.target == nil {
		return []string{"sends to the queue"}
	}
	return changes(map[string]bool{"sends unchanged events": r.transforms(), "dead-letter queue": r.deadLetterARN() == ""})
}

// routesTo finds the rules that lead to a queue, directly or through a topic, by their
// targets: first the rules on this bus, then those on other buses that can be listed. If
// this bus does not exist, awscall.NotFound is true for the error.
func (o *Operator) routesTo(ctx context.Context, q *queue, bus string) ([]*route, error) {
	routes, err := o.routesOn(ctx, q, bus)
	if err != nil {
		return nil, err
	}
	for _, other := range o.buses(ctx) {
		if other == bus {
			continue
		}
		more, err := o.routesOn(ctx, q, other)
		if err != nil && !awscall.NotFound(err) {
			return nil, err
		}
		routes = append(routes, more...)
	}
	return routes, nil
}

// buses returns the names of all event buses that may be listed.
func (o *Operator) buses(ctx context.Context) (names []string) {
	in := &eventbridge.ListEventBusesInput{}
	for {
		page, err := o.events.ListEventBuses(ctx, in)
		if err != nil {
			return names
		}
		for _, bus := range page.EventBuses {
			names = append(names, aws.ToString(bus.Name))
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			return names
		}
	}
}

// routesOn finds the rules of one bus that lead to a queue.
func (o *Operator) routesOn(ctx context.Context, q *queue, bus string) ([]*route, error) {
	routes, err := o.routesByTarget(ctx, q.arn(), bus)
	for _, topic := range q.topics() {
		if err != nil {
			return nil, err
		}
		var more []*route
		more, err = o.routesByTarget(ctx, topic, bus)
		for _, r := range more {
			if !slices.ContainsFunc(routes, func(known *route) bool { return known.name() == r.name() }) {
				r.via = topic
				routes = append(routes, r)
			}
		}
	}
	return routes, err
}

func (o *Operator) routesByTarget(ctx context.Context, target, bus string) (routes []*route, err error) {
	in := &eventbridge.ListRuleNamesByTargetInput{TargetArn: &target, EventBusName: &bus}
	for {
		page, err := o.events.ListRuleNamesByTarget(ctx, in)
		if err != nil {
			return nil, awscall.WithPermission("events:ListRuleNamesByTarget", err)
		}
		for _, rule := range page.RuleNames {
			r, err := o.routeOf(ctx, bus, rule, target)
			if awscall.NotFound(err) {
				continue // deleted just now
			}
			if err != nil {
				return nil, err
			}
			routes = append(routes, r)
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			return routes, nil
		}
	}
}

// routeOf reads a rule and its targets. If it does not exist, awscall.NotFound is true
// for the error.
func (o *Operator) routeOf(ctx context.Context, bus, rule, target string) (*route, error) {
	found, err := o.events.DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: &rule, EventBusName: &bus})
	if err != nil {
		return nil, awscall.WithPermission("events:DescribeRule", err)
	}
	r := &route{bus: bus, rule: found}
	in := &eventbridge.ListTargetsByRuleInput{Rule: &rule, EventBusName: &bus}
	for {
		page, err := o.events.ListTargetsByRule(ctx, in)
		if err != nil {
			return nil, awscall.WithPermission("events:ListTargetsByRule", err)
		}
		r.all = append(r.all, page.Targets...)
		if in.NextToken = page.NextToken; in.NextToken == nil {
			break
		}
	}
	for i := range r.all {
		if aws.ToString(r.all[i].Arn) == target {
			r.target = &r.all[i]
			break
		}
	}
	return r, nil
}

// routesOf returns the rules that lead to the queue or, if the path names a rule, that rule.
func (o *Operator) routesOf(ctx context.Context, w EventPath, q *queue) ([]*route, error) {
	bus := busName(w.EventBus)
	if w.Rule == "" {
		return o.routesTo(ctx, q, bus)
	}
	r, err := o.routeOf(ctx, bus, w.Rule, q.arn())
	if err != nil {
		return nil, err
	}
	return []*route{r}, nil
}

// EventPath is the path of the events to statusd.
type EventPath struct {
	QueueURL string
	EventBus string // name or ARN; empty: the default one
	Rule     string // name; empty: all that lead to the queue, on any bus
}

// busName returns the name of a bus, given its name or its ARN; empty is the default
// bus.
func busName(setting string) string {
	if _, name, isARN := strings.Cut(setting, ":event-bus/"); isARN {
		return name
	}
	return cmp.Or(setting, DefaultBus)
}

func namesOf(routes []*route) string {
	names := make([]string, len(routes))
	for i, r := range routes {
		names[i] = r.shown()
	}
	return strings.Join(names, ", ")
}

// checkOnBus returns an error if rules lead to the queue, but none is on this bus,
// because another rule would be created in addition.
func checkOnBus(routes []*route, bus string) error {
	if len(routes) == 0 || slices.ContainsFunc(routes, func(r *route) bool { return r.bus == bus }) {
		return nil
	}
	return fmt.Errorf("the rule of the queue is %s, which is not on the event bus in EVENT_BUS, %s; set EVENT_BUS=%s", namesOf(routes), bus, routes[0].bus)
}

// truncate shortens a name to the maximum of a service.
func truncate(name string, most int) string { return name[:min(len(name), most)] }

var eventBus = regexp.MustCompile(`^(arn:[a-z-]+:events:[a-z0-9-]+:[0-9]{12}:event-bus/)?[A-Za-z0-9._/-]{1,256}$`)

// CheckEventBus returns an error for a text that is neither the name nor the ARN of an
// event bus.
func CheckEventBus(setting string) error {
	if setting != "" && !eventBus.MatchString(setting) {
		return fmt.Errorf("%q is neither the name nor the ARN of an event bus", setting)
	}
	return nil
}
