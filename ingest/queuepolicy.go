package ingest

import (
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
	arnEqualsInIAM = "ArnEquals"
)

// policy is the policy of a queue. Statements stay as they are.
type policy struct {
	Version   string           `json:"Version"`
	ID        string           `json:"Id,omitempty"`
	Statement []jsontext.Value `json:"Statement"`
}

// statement is what is understood of a statement.
type statement struct {
	SID       string                               `json:"Sid"`
	Effect    string                               `json:"Effect"`
	Principal jsontext.Value                       `json:"Principal"`
	Action    jsontext.Value                       `json:"Action"`
	Resource  jsontext.Value                       `json:"Resource"`
	Condition map[string]map[string]jsontext.Value `json:"Condition"`
}

func parsePolicy(text string) (policy, []statement, error) {
	p := policy{Version: policyVersion}
	if text == "" {
		return p, nil, nil
	}
	var raw struct {
		policy
		Statement jsontext.Value `json:"Statement"` // a list, or one alone
	}
	err := json.Unmarshal([]byte(text), &raw)
	if err == nil && raw.Statement.Kind() == '{' {
		raw.policy.Statement = []jsontext.Value{raw.Statement}
	} else if err == nil {
		err = json.Unmarshal(raw.Statement, &raw.policy.Statement)
	}
	if err != nil {
		return p, nil, fmt.Errorf("the policy of the queue is not understood: %w", err)
	}
	statements := make([]statement, len(raw.policy.Statement))
	for i, s := range raw.policy.Statement {
		if err := json.Unmarshal(s, &statements[i]); err != nil {
			return p, nil, fmt.Errorf("statement %d of the policy of the queue is not understood: %w", i+1, err)
		}
	}
	raw.Version = first(raw.Version, policyVersion)
	return raw.policy, statements, nil
}

// letRuleSend returns a policy that lets a rule send to a queue. It keeps every
// statement that is there, and changes nothing if the rule may send already.
func letRuleSend(text, queue, rule string) (changedText string, changed bool, err error) {
	p, statements, err := parsePolicy(text)
	if err != nil {
		return "", false, err
	}
	if maySend(statements, queue, rule) {
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

// maySend reports whether statements let a rule send to a queue.
func maySend(statements []statement, queue, rule string) bool {
	allowed := false
	for _, s := range statements {
		if !s.about(queue) {
			continue
		}
		if s.Effect == effectOfAllow && s.allows(rule) {
			allowed = true
		}
		if s.Effect == "Deny" && len(s.Condition) == 0 {
			return false
		}
	}
	return allowed
}

// openTo returns the names of statements by which anybody, or any rule of any
// account, may send to a queue.
func openTo(statements []statement, queue string) (sids []string) {
	for i, s := range statements {
		if s.Effect == effectOfAllow && s.about(queue) && !s.limited() {
			sids = append(sids, first(s.SID, fmt.Sprintf("number %d", i+1)))
		}
	}
	return sids
}

// limited reports whether the conditions of a statement name somebody: a rule, an
// account, an organisation.
func (s statement) limited() bool {
	for _, keys := range s.Condition {
		for key, values := range keys {
			names := slices.ContainsFunc([]string{"aws:SourceArn", "aws:SourceAccount", "aws:PrincipalArn", "aws:PrincipalOrgID", "aws:SourceOrgID", "aws:PrincipalAccount"},
				func(known string) bool { return strings.EqualFold(known, key) })
			if names && !slices.Contains(texts(values), allStatements) {
				return true
			}
		}
	}
	return false
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// about reports whether a statement speaks of EventBridge sending to a queue.
func (s statement) about(queue string) bool {
	principal := texts(s.Principal)
	if s.Principal.Kind() == '{' {
		var by map[string]jsontext.Value
		_ = json.Unmarshal(s.Principal, &by) // what is not understood names nobody
		principal = append(texts(by["Service"]), texts(by["AWS"])...)
	}
	return (slices.Contains(principal, eventsService) || slices.Contains(principal, allStatements)) &&
		slices.ContainsFunc(texts(s.Action), func(a string) bool { return glob(strings.ToLower(a), strings.ToLower(sendAction)) }) &&
		slices.ContainsFunc(texts(s.Resource), func(r string) bool { return glob(r, queue) })
}

// allows reports whether the conditions of a statement are met by a rule. Other
// conditions than on the rule are not understood, and count as not met.
func (s statement) allows(rule string) bool {
	for operator, keys := range s.Condition {
		if !slices.Contains([]string{arnEqualsInIAM, "ArnLike", "StringEquals", "StringLike"}, operator) {
			return false
		}
		for key, values := range keys {
			if !strings.EqualFold(key, sourceARN) || !slices.ContainsFunc(texts(values), func(v string) bool { return glob(v, rule) }) {
				return false
			}
		}
	}
	return true
}

// texts returns a text or a list of them as a list.
func texts(v jsontext.Value) []string {
	var one string
	var list []string
	if len(v) > 0 && json.Unmarshal(v, &one) == nil {
		return []string{one}
	}
	if len(v) > 0 && json.Unmarshal(v, &list) == nil {
		return list
	}
	return nil
}

// glob matches with * and ? as policies know them, where * matches slashes too.
func glob(pattern, text string) bool {
	plain := strings.NewReplacer("/", "\x00", "[", `\[`, `\`, `\\`)
	ok, err := path.Match(plain.Replace(pattern), strings.ReplaceAll(text, "/", "\x00"))
	return ok && err == nil
}
