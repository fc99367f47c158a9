package operate

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	sendAction     = "sqs:SendMessage"
	eventsService  = "events.amazonaws.com"
	policyVersion  = "2012-10-17"
	ruleStatement  = "LetTheRuleSend"
	sourceARN      = "aws:SourceArn"
	allStatements  = "*"
	effectOfAllow  = "Allow"
	effectOfDeny   = "Deny"
	arnEqualsInIAM = "ArnEquals"
)

// policy is the policy of a queue. Its statements are kept unchanged.
type policy struct {
	Version   string           `json:"Version"`
	ID        string           `json:"Id,omitempty"`
	Statement []jsontext.Value `json:"Statement"`
}

// statement is the parsed part of a statement.
type statement struct {
	SID          string                               `json:"Sid"`
	Effect       string                               `json:"Effect"`
	Principal    jsontext.Value                       `json:"Principal"`
	NotPrincipal jsontext.Value                       `json:"NotPrincipal"`
	Action       jsontext.Value                       `json:"Action"`
	NotAction    jsontext.Value                       `json:"NotAction"`
	Resource     jsontext.Value                       `json:"Resource"`
	NotResource  jsontext.Value                       `json:"NotResource"`
	Condition    map[string]map[string]jsontext.Value `json:"Condition"`
}

func parsePolicy(text string) (policy, []statement, error) {
	p := policy{Version: policyVersion}
	if text == "" {
		return p, nil, nil
	}
	var raw struct {
		policy
		Statement jsontext.Value `json:"Statement"` // a list, or a single one
	}
	err := json.Unmarshal([]byte(text), &raw)
	if err == nil && raw.Statement.Kind() == '{' {
		raw.policy.Statement = []jsontext.Value{raw.Statement}
	} else if err == nil {
		err = json.Unmarshal(raw.Statement, &raw.policy.Statement)
	}
	if err != nil {
		return p, nil, fmt.Errorf("cannot parse the policy of the queue: %w", err)
	}
	statements := make([]statement, len(raw.policy.Statement))
	for i, s := range raw.policy.Statement {
		if err := json.Unmarshal(s, &statements[i]); err != nil {
			return p, nil, fmt.Errorf("cannot parse statement %d of the policy of the queue: %w", i+1, err)
		}
	}
	raw.Version = cmp.Or(raw.Version, policyVersion)
	return raw.policy, statements, nil
}

// letRuleSend returns a policy that allows a rule to send to a queue. It keeps every statement,
// and changes nothing if a statement certainly allows the rule to send. If a statement denies
// this, no other statement can allow it.
func letRuleSend(text, queue, rule string) (changedText string, changed bool, err error) {
	p, statements, err := parsePolicy(text)
	if err != nil {
		return "", false, err
	}
	v := evaluate(statements, sending{queue, rule})
	if v.allow == yes {
		return text, false, nil
	}
	sid := ruleStatement
	for n := 2; slices.ContainsFunc(statements, func(s statement) bool { return s.SID == sid }); n++ {
		sid = fmt.Sprintf("%s%d", ruleStatement, n)
	}
	added, err := json.Marshal(map[string]any{
		"Sid": sid, "Effect": effectOfAllow, "Principal": map[string]string{"Service": eventsService},
		"Action": sendAction, "Resource": queue,
		"Condition": map[string]any{arnEqualsInIAM: map[string]string{sourceARN: rule}},
	}, json.Deterministic(true))
	if err == nil {
		p.Statement = append(p.Statement, added)
		added, err = json.Marshal(&p)
	}
	if err != nil {
		return "", false, fmt.Errorf("write the policy of the queue: %w", err)
	}
	return string(added), true, nil
}

// topics returns the ARNs of the SNS topics that may send to the queue: events may come
// through them.
func (q *queue) topics() (arns []string) {
	_, statements, err := parsePolicy(q.attributes[attrPolicy])
	if err != nil {
		return nil // the check of the policy reports it
	}
	for _, s := range statements {
		for _, keys := range s.Condition {
			for key, values := range keys {
				for _, arn := range texts(values) {
					if s.Effect == effectOfAllow && strings.EqualFold(key, sourceARN) && strings.Contains(arn, ":sns:") && !strings.ContainsAny(arn, "*?$") {
						arns = append(arns, arn)
					}
				}
			}
		}
	}
	slices.Sort(arns)
	return slices.Compact(arns)
}

// openTo returns the names of statements that let anybody, or any rule of any account,
// send to a queue, and the other statements.
func openTo(statements []statement, queue string) (sids []string, others []statement) {
	for i, s := range statements {
		if s.Effect == effectOfAllow && s.about(queue) != no && !s.limited() {
			sids = append(sids, s.name(i))
		} else {
			others = append(others, s)
		}
	}
	return sids, others
}

// name returns the shown name of the statement at i.
func (s statement) name(i int) string { return cmp.Or(s.SID, fmt.Sprintf("number %d", i+1)) }

// naming are the condition keys that limit who may send.
var naming = []string{
	"aws:sourcearn", "aws:sourceaccount", "aws:sourceorgid", "aws:sourceorgpaths", "aws:sourceowner", "aws:sourceip", "aws:sourcevpc",
	"aws:sourcevpce", "aws:principalarn", "aws:principalaccount", "aws:principalorgid", "aws:principalorgpaths", "aws:userid",
}

// limited reports whether the conditions of a statement name a rule, an account or an
// organization. IfExists only limits requests that have the key.
func (s statement) limited() bool {
	for operator, keys := range s.Condition {
		if strings.Contains(operator, "Not") || operator == "Null" || strings.HasSuffix(operator, ifExists) && s.anybody() {
			continue
		}
		for key, values := range keys {
			if slices.Contains(naming, strings.ToLower(key)) && !slices.Contains(texts(values), allStatements) {
				return true
			}
		}
	}
	return false
}

// texts returns a string or a list of strings as a list. Booleans and numbers are
// converted to strings.
func texts(v jsontext.Value) (all []string) {
	switch v.Kind() {
	case '"':
		var text string
		_ = json.Unmarshal(v, &text) // the type is string
		return []string{text}
	case 't', 'f', '0':
		return []string{string(v)}
	case '[':
		var list []jsontext.Value
		_ = json.Unmarshal(v, &list) // text that cannot be parsed has no strings
		for _, item := range list {
			if item.Kind() != '[' {
				all = append(all, texts(item)...)
			}
		}
	}
	return all
}

// glob matches * and ? as in policies: * matches slashes too.
func glob(pattern, text string) bool {
	plain := strings.NewReplacer("/", "\x00", "[", `\[`, `\`, `\\`)
	ok, err := path.Match(plain.Replace(pattern), strings.ReplaceAll(text, "/", "\x00"))
	return ok && err == nil
}
