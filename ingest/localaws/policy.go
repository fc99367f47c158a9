package localaws

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
)

// policy says which services may do what with a queue. Callers with the credentials of the
// account may do everything.
type policy struct {
	Version   string
	Id        string
	Statement oneOrList[statement]
}

type statement struct {
	Sid       string
	Effect    string // Allow or Deny
	Principal principals
	Action    oneOrList[string]
	Resource  oneOrList[string]
	Condition map[string]map[string]oneOrList[string] // operator, key, values
}

// principals are the callers to which a statement applies: all of them, or some kinds, such as
// Service.
type principals struct {
	anyone bool
	kinds  map[string]oneOrList[string]
}

// oneOrList is a list; a list of one item may be written as this item.
type oneOrList[T any] []T

// UnmarshalJSON reads either form.
func (l *oneOrList[T]) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '[' {
		return json.Unmarshal(text, (*[]T)(l), strict)
	}
	var one T
	err := json.Unmarshal(text, &one, strict)
	*l = oneOrList[T]{one}
	return err
}

// UnmarshalJSON reads "*" or an object.
func (p *principals) UnmarshalJSON(text []byte) error {
	if string(text) == `"*"` {
		p.anyone = true
		return nil
	}
	return json.Unmarshal(text, &p.kinds, strict)
}

// strict refuses elements that would be ignored, such as NotAction, because a policy must not
// allow more here than with SQS.
var strict = json.RejectUnknownMembers(true)

// access is one call that a service makes on behalf of a resource.
type access struct {
	service  string // such as events.amazonaws.com
	action   string // such as sqs:SendMessage
	resource string // ARN
	context  map[string]string
}

// conditionOperator compares a value of the context with one of the policy.
type conditionOperator struct {
	matches func(pattern, value string) bool
	negated bool // no value may match; an absent value does not match
}

func equal(a, b string) bool { return a == b }

var conditionOperators = map[string]conditionOperator{
	"ArnEquals":       {matches: arnMatches},
	"ArnLike":         {matches: arnMatches},
	"ArnNotEquals":    {arnMatches, true},
	"ArnNotLike":      {arnMatches, true},
	"StringEquals":    {matches: equal},
	"StringLike":      {matches: globMatches},
	"StringNotEquals": {equal, true},
	"StringNotLike":   {globMatches, true},
	"Bool":            {matches: equal},
}

// parsePolicy reads a policy. An empty one removes it.
func parsePolicy(text string) (*policy, error) {
	if text == "" {
		return nil, nil
	}
	var p policy
	if err := json.Unmarshal([]byte(text), &p, strict); err != nil {
		return nil, err
	}
	if len(p.Statement) == 0 {
		return nil, errors.New("there is no statement")
	}
	for _, s := range p.Statement {
		if err := s.check(); err != nil {
			return nil, err
		}
	}
	return &p, nil
}

func (s statement) check() error {
	switch {
	case s.Effect != "Allow" && s.Effect != "Deny":
		return fmt.Errorf("the Effect %q is neither Allow nor Deny", s.Effect)
	case !s.Principal.anyone && len(s.Principal.kinds) == 0:
		return errors.New("a statement has no Principal")
	case len(s.Action) == 0 || len(s.Resource) == 0:
		return errors.New("a statement needs Action and Resource")
	}
	for operator := range s.Condition {
		if _, known := conditionOperators[operator]; !known {
			return fmt.Errorf("the stand-in does not know the condition %s", operator)
		}
	}
	return nil
}

// allows reports whether a service may do this: a statement says so, and none
// denies it. Without a policy it may not.
func (p *policy) allows(a access) bool {
	if p == nil {
		return false
	}
	allowed := false
	for _, s := range p.Statement {
		if s.applies(a) {
			if s.Effect == "Deny" {
				return false
			}
			allowed = true
		}
	}
	return allowed
}

func (s statement) applies(a access) bool {
	action := strings.ToLower(a.action)
	return s.Principal.include(a.service) &&
		slices.ContainsFunc(s.Action, func(p string) bool { return globMatches(strings.ToLower(p), action) }) &&
		slices.ContainsFunc(s.Resource, func(p string) bool { return globMatches(p, a.resource) }) &&
		s.conditionsHold(a.context)
}

func (p principals) include(service string) bool {
	return p.anyone || slices.Contains(p.kinds["AWS"], "*") || slices.Contains(p.kinds["Service"], service)
}

func (s statement) conditionsHold(context map[string]string) bool {
	for name, keys := range s.Condition {
		operator := conditionOperators[name]
		for key, patterns := range keys {
			value, has := context[strings.ToLower(key)]
			found := has && slices.ContainsFunc(patterns, func(p string) bool { return operator.matches(p, value) })
			if found == operator.negated {
				return false
			}
		}
	}
	return true
}

// arnMatches compares the six parts of ARNs, each with wildcards.
func arnMatches(pattern, arn string) bool {
	patterns, parts := strings.SplitN(pattern, ":", 6), strings.SplitN(arn, ":", 6)
	return slices.EqualFunc(patterns, parts, globMatches)
}

// globMatches compares with a pattern in which * stands for any characters and ?
// for one.
func globMatches(pattern, s string) bool {
	star, resume := -1, 0
	p := 0
	for i := 0; i < len(s); {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, resume = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p, i = p+1, i+1
		case star >= 0: // let the last asterisk match one character more
			resume++
			p, i = star+1, resume
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
