package operate

import (
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// answer is the result of a condition, as far as it can be determined without AWS. If several
// conditions must all be met, the lowest answer counts; if one is enough, the highest.
type answer int

const (
	no answer = iota
	unknown
	yes
)

func answerOf(is bool) answer {
	if is {
		return yes
	}
	return no
}

// not returns the opposite answer.
func (a answer) not() answer { return yes - a }

// sending is the request of a rule to send an event to a queue.
type sending struct{ queue, rule string } // ARNs

// context returns the values that AWS gives a key (in lower case) for this request; none if the
// request does not have the key. Other keys are not known.
func (q sending) context(key string) (values []string, known bool) {
	switch key {
	case "aws:sourcearn":
		return []string{q.rule}, true
	case "aws:sourceaccount":
		return []string{arnPart(q.rule, 4)}, true
	case "aws:securetransport", "aws:principalisawsservice":
		return []string{"true"}, true
	case "aws:principalservicename", "aws:principalservicenameslist":
		return []string{eventsService}, true
	case "aws:requestedregion":
		return []string{arnPart(q.queue, 3)}, true
	case "aws:resourceaccount":
		return []string{arnPart(q.queue, 4)}, true
	case "aws:principalorgid", "aws:principalorgpaths", "aws:sourcevpc", "aws:sourcevpce", "aws:vpcsourceip", "aws:username":
		return nil, true // a service belongs to no organization, and uses no VPC endpoint
	}
	return nil, false
}

// arnPart returns a part of an ARN: 3 is the region and 4 the account.
func arnPart(arn string, n int) string {
	parts := strings.SplitN(arn, ":", 6)
	if n >= len(parts) {
		return ""
	}
	return parts[n]
}

// verdict is the result of a policy for a request.
type verdict struct {
	allow, deny answer
	denies      string   // name of the statement that denies, or may deny
	depends     []string // condition keys on which the result depends
}

// may returns whether the request succeeds.
func (v verdict) may() answer { return min(v.allow, v.deny.not()) }

func evaluate(statements []statement, q sending) verdict {
	v := verdict{allow: no, deny: no}
	for i, s := range statements {
		a := s.applies(q)
		if a == unknown {
			v.depends = append(v.depends, s.unknownKeys(q)...)
		}
		switch s.Effect {
		case effectOfAllow:
			v.allow = max(v.allow, a)
		case effectOfDeny:
			if a > v.deny {
				v.deny, v.denies = a, s.name(i)
			}
		}
	}
	slices.Sort(v.depends)
	v.depends = slices.Compact(v.depends)
	return v
}

func (s statement) applies(q sending) answer { return min(s.about(q.queue), s.conditions(q)) }

// about returns whether a statement applies when EventBridge sends to a queue.
func (s statement) about(queue string) answer {
	isAction := func(a string) bool { return glob(strings.ToLower(a), strings.ToLower(sendAction)) }
	isQueue := func(r string) bool { return glob(r, queue) }
	return answerOf(s.ofEventBridge() && either(s.Action, s.NotAction, isAction) && either(s.Resource, s.NotResource, isQueue))
}

// either returns whether one of the included values matches or, if values are excluded,
// whether none of them matches.
func either(named, others jsontext.Value, is func(string) bool) bool {
	if len(others) > 0 {
		return !slices.ContainsFunc(texts(others), is)
	}
	return slices.ContainsFunc(texts(named), is)
}

func (s statement) ofEventBridge() bool {
	is := func(principal string) bool { return principal == allStatements || principal == eventsService }
	if len(s.NotPrincipal) > 0 {
		return !slices.ContainsFunc(principals(s.NotPrincipal), is)
	}
	return slices.ContainsFunc(principals(s.Principal), is)
}

// anybody reports whether a statement applies to all principals.
func (s statement) anybody() bool {
	return len(s.NotPrincipal) > 0 || slices.Contains(principals(s.Principal), allStatements)
}

// principals returns the principals in a statement, both services and accounts.
func principals(v jsontext.Value) []string {
	if v.Kind() != '{' {
		return texts(v)
	}
	var by map[string]jsontext.Value
	_ = json.Unmarshal(v, &by) // text that cannot be parsed names no principal
	return slices.Concat(texts(by["Service"]), texts(by["AWS"]), texts(by["*"]))
}

func (s statement) conditions(q sending) answer {
	all := yes
	for operator, keys := range s.Condition {
		for key, values := range keys {
			all = min(all, holds(operator, strings.ToLower(key), texts(values), q))
		}
	}
	return all
}

// unknownKeys returns the condition keys whose answer is not known.
func (s statement) unknownKeys(q sending) (keys []string) {
	for operator, conditions := range s.Condition {
		for key, values := range conditions {
			if holds(operator, strings.ToLower(key), texts(values), q) == unknown {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

const (
	ifExists    = "IfExists"
	forAllOf    = "ForAllValues:"
	forAnyOf    = "ForAnyValue:"
	policyValue = "${" // the beginning of a policy variable
)

// comparisonOf returns the comparison of an operator. Operators for dates, numbers and
// addresses are not needed, because the values of their keys are not known.
func comparisonOf(operator string) (matches func(pattern, value string) bool, negated bool) {
	equal := func(pattern, value string) bool { return pattern == value }
	switch operator {
	case "StringEquals":
		return equal, false
	case "StringNotEquals":
		return equal, true
	case "StringEqualsIgnoreCase", "Bool":
		return strings.EqualFold, false
	case "StringNotEqualsIgnoreCase":
		return strings.EqualFold, true
	case "StringLike":
		return glob, false
	case "StringNotLike":
		return glob, true
	case "ArnEquals", "ArnLike":
		return arnLike, false
	case "ArnNotEquals", "ArnNotLike":
		return arnLike, true
	}
	return nil, false
}

// arnLike compares the six parts of ARNs, each with wildcards.
func arnLike(pattern, arn string) bool {
	return slices.EqualFunc(strings.SplitN(pattern, ":", 6), strings.SplitN(arn, ":", 6), glob)
}

// holds evaluates one key of a condition.
func holds(operator, key string, patterns []string, q sending) answer {
	values, known := q.context(key)
	if !known || slices.ContainsFunc(patterns, func(p string) bool { return strings.Contains(p, policyValue) }) {
		return unknown
	}
	if operator == "Null" { // true if the key is missing
		return answerOf(slices.Contains(patterns, strconv.FormatBool(len(values) == 0)))
	}
	operator, optional := strings.CutSuffix(operator, ifExists)
	operator, all := strings.CutPrefix(operator, forAllOf)
	operator = strings.TrimPrefix(operator, forAnyOf)
	matches, negated := comparisonOf(operator)
	if matches == nil {
		return unknown
	}
	passes := func(value string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, value) }) != negated
	}
	if len(values) == 0 {
		return answerOf(optional || all || negated)
	}
	if all {
		return answerOf(!slices.ContainsFunc(values, func(v string) bool { return !passes(v) }))
	}
	return answerOf(slices.ContainsFunc(values, passes))
}
