package localaws

import (
	"cmp"
	"net/http"
	"strings"
	"time"

	"statuscache/ingest/internal/eventpattern"
)

const (
	maxRules    = 300
	maxRuleName = 64

	ruleEnabled  = "ENABLED"
	ruleDisabled = "DISABLED"
)

// rule sends matching events to its targets. The lock of the bus guards it.
type rule struct {
	ruleName
	description, role, state string

	text    string // of the pattern
	pattern *eventpattern.Pattern
	from    time.Time // the rule matches nothing before this time
	targets []target
}

type (
	putRuleRequest struct {
		Name, EventBusName, Description, EventPattern, RoleArn, ScheduleExpression, State string
	}
	putRuleResult struct{ RuleArn string }
	ruleRequest   struct{ Name, EventBusName string }
	listRequest   struct{ NamePrefix, EventBusName string }
	ruleResult    struct {
		Name, Arn, EventPattern, State, EventBusName string
		Description, RoleArn                         string `json:",omitzero"`
	}
	rulesResult struct{ Rules []ruleResult }
)

// ruleName is what identifies a rule.
type ruleName struct{ bus, name string }

func (r ruleName) arn() string {
	if r.bus == defaultBus {
		return eventsARN + "rule/" + r.name
	}
	return eventsARN + "rule/" + r.bus + "/" + r.name
}

func (r *rule) matches(e event) bool {
	return r.state == ruleEnabled && !time.Now().Before(r.from) && r.pattern.Matches(e.tree)
}

func (r *rule) result() ruleResult {
	return ruleResult{
		Name: r.name, Arn: r.arn(), EventPattern: r.text, State: r.state, EventBusName: r.bus,
		Description: r.description, RoleArn: r.role,
	}
}

// putRule creates a rule, or replaces everything in it except its targets.
func (s *Server) putRule(_ *http.Request, in putRuleRequest) (any, error) {
	r, err := newRule(in)
	if err != nil {
		return nil, err
	}
	b := &s.bus
	b.lock.Lock()
	defer b.lock.Unlock()
	if r.bus, err = b.find(in.EventBusName); err != nil {
		return nil, err
	}
	old := b.rules[r.ruleName]
	switch {
	case old != nil:
		r.targets, r.from = old.targets, old.from
		if old.state == ruleEnabled {
			break
		}
		fallthrough
	case len(b.rules) < maxRules:
		r.from = time.Now().Add(b.delays.NewRule)
	default:
		return nil, limitExceeded("rules", maxRules)
	}
	b.rules[r.ruleName] = r
	return putRuleResult{r.arn()}, nil
}

func newRule(in putRuleRequest) (*rule, error) {
	if err := checkName(in.Name, maxRuleName); err != nil {
		return nil, err
	}
	state := cmp.Or(in.State, ruleEnabled)
	switch {
	case in.ScheduleExpression != "":
		return nil, validation("ScheduleExpression: the stand-in has no schedules")
	case in.EventPattern == "":
		return nil, validation("Parameter(s) EventPattern or ScheduleExpression must be specified.")
	case state != ruleEnabled && state != ruleDisabled:
		return nil, validation("State must be " + ruleEnabled + " or " + ruleDisabled)
	}
	p, err := eventpattern.Compile(in.EventPattern)
	if err != nil {
		return nil, invalidPattern(err)
	}
	return &rule{
		ruleName: ruleName{name: in.Name}, description: in.Description, role: in.RoleArn, state: state, text: in.EventPattern, pattern: p,
	}, nil
}

func (s *Server) describeRule(r *rule, _ ruleRequest) (any, error) { return r.result(), nil }

func (s *Server) listRules(_ *http.Request, in listRequest) (any, error) {
	s.bus.lock.Lock()
	defer s.bus.lock.Unlock()
	on, err := s.bus.rulesOn(in.EventBusName)
	if err != nil {
		return nil, err
	}
	rules := []ruleResult{}
	for _, r := range on {
		if strings.HasPrefix(r.name, in.NamePrefix) {
			rules = append(rules, r.result())
		}
	}
	return rulesResult{rules}, nil
}

func (s *Server) enableRule(r *rule, _ ruleRequest) (any, error) {
	if r.state != ruleEnabled {
		r.state, r.from = ruleEnabled, time.Now().Add(s.bus.delays.NewRule)
	}
	return emptyResult{}, nil
}

func (s *Server) disableRule(r *rule, _ ruleRequest) (any, error) {
	r.state = ruleDisabled
	return emptyResult{}, nil
}

// deleteRule succeeds if there is no such rule.
func (s *Server) deleteRule(_ *http.Request, in ruleRequest) (any, error) {
	s.bus.lock.Lock()
	defer s.bus.lock.Unlock()
	bus, err := s.bus.find(in.EventBusName)
	if err != nil {
		return nil, err
	}
	if r := s.bus.rules[ruleName{bus, in.Name}]; r != nil && len(r.targets) > 0 {
		return nil, validation("Rule can't be deleted since it has targets.")
	}
	delete(s.bus.rules, ruleName{bus, in.Name})
	return emptyResult{}, nil
}

// forRule reads a request of type In and finds its rule. The action runs under the lock of the
// bus.
func forRule[In interface{ rule() (name, bus string) }](act func(*Server, *rule, In) (any, error)) action {
	return decoded(func(s *Server, _ *http.Request, in In) (any, error) {
		s.bus.lock.Lock()
		defer s.bus.lock.Unlock()
		name, bus := in.rule()
		bus, err := s.bus.find(bus)
		if err != nil {
			return nil, err
		}
		r := s.bus.rules[ruleName{bus, name}]
		if r == nil {
			return nil, notFound("Rule " + name)
		}
		return act(s, r, in)
	})
}

func (in ruleRequest) rule() (name, bus string) { return in.Name, in.EventBusName }
