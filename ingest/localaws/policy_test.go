package localaws

import (
	"strings"
	"testing"
)

var sending = access{
	service: "events.amazonaws.com", action: "sqs:SendMessage", resource: "arn:aws:sqs:eu-west-1:000000000000:q",
	context: map[string]string{
		"aws:sourcearn": eventsARN + "rule/r", "aws:sourceaccount": account, "aws:securetransport": "true",
	},
}

// allow is a statement that lets the rule send; changes replace parts of it.
func allow(changes ...string) string {
	return strings.NewReplacer(changes...).Replace(`{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},` +
		`"Action":"sqs:SendMessage","Resource":"arn:aws:sqs:eu-west-1:000000000000:q",` +
		`"Condition":{"ArnEquals":{"aws:SourceArn":"` + eventsARN + `rule/r"}}}`)
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	const insecure = `{"Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`
	for name, test := range map[string]struct {
		statements string
		want       bool
	}{
		"as it should be":         {allow(), true},
		"in a list":               {"[" + allow() + "]", true},
		"anyone":                  {allow(`{"Service":"events.amazonaws.com"}`, `"*"`), true},
		"any account":             {allow(`{"Service":"events.amazonaws.com"}`, `{"AWS":"*"}`), true},
		"several services":        {allow(`"events.amazonaws.com"`, `["sns.amazonaws.com","events.amazonaws.com"]`), true},
		"another service":         {allow("events.amazonaws.com", "sns.amazonaws.com"), false},
		"all of SQS":              {allow("sqs:SendMessage", "SQS:*"), true},
		"all that sends":          {allow("sqs:SendMessage", "sqs:Send*"), true},
		"a list of actions":       {allow(`"sqs:SendMessage"`, `["sqs:ReceiveMessage","sqs:sendmessage"]`), true},
		"another action":          {allow("SendMessage", "ReceiveMessage"), false},
		"any queue":               {allow("000:q", "000:*"), true},
		"one character":           {allow("000:q", "000:?"), true},
		"another queue":           {allow("000:q", "000:r"), false},
		"another rule":            {allow("rule/r", "rule/s"), false},
		"rules that begin so":     {allow("rule/r", "rule/*", "ArnEquals", "ArnLike"), true},
		"a text with an asterisk": {allow("rule/r", "rule/*", "ArnEquals", "StringEquals"), false},
		"a text":                  {allow("ArnEquals", "StringEquals"), true},
		"a text like":             {allow("rule/r", "rule/*", "ArnEquals", "StringLike"), true},
		"not another rule":        {allow("rule/r", "rule/s", "ArnEquals", "ArnNotEquals"), true},
		"not this rule":           {allow("ArnEquals", "ArnNotLike"), false},
		"the account":             {allow(`"ArnEquals":{"aws:SourceArn":"`+eventsARN+`rule/r"}`, `"StringEquals":{"AWS:sourceAccount":"000000000000"}`), true},
		"another account":         {allow(`"ArnEquals":{"aws:SourceArn":"`+eventsARN+`rule/r"}`, `"StringEquals":{"aws:SourceAccount":"1"}`), false},
		"two conditions":          {allow(`"Condition":{`, `"Condition":{"StringEquals":{"aws:SourceAccount":"1"},`), false},
		"what nobody knows":       {allow("aws:SourceArn", "aws:PrincipalTag/x"), false},
		"denied":                  {"[" + allow() + "," + allow(`"Allow"`, `"Deny"`) + "]", false},
		"denied to others":        {"[" + allow() + "," + allow(`"Allow"`, `"Deny"`, "rule/r", "rule/s") + "]", true},
		"denied without TLS":      {"[" + insecure + "," + allow() + "]", true},
		"nothing but a denial":    {insecure, false},
	} {
		p, err := parsePolicy(`{"Version":"2012-10-17","Statement":` + test.statements + `}`)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := p.allows(sending); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
	if none, err := parsePolicy(""); err != nil || none.allows(sending) {
		t.Errorf("no policy allows it, or %v", err)
	}
}

func TestPoliciesThatAreNone(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"not JSON":             `{`,
		"no statement":         `{"Version":"2012-10-17"}`,
		"an unknown effect":    `{"Statement":` + allow("Allow", "Permit") + `}`,
		"no principal":         `{"Statement":` + allow(`"Principal":{"Service":"events.amazonaws.com"},`, "") + `}`,
		"no action":            `{"Statement":` + allow(`"Action":"sqs:SendMessage",`, "") + `}`,
		"all but an action":    `{"Statement":` + allow(`"Action"`, `"NotAction"`) + `}`,
		"an unknown condition": `{"Statement":` + allow("ArnEquals", "DateLessThan") + `}`,
	} {
		if _, err := parsePolicy(text); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestGlob(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "abc", true}, {"a*c", "abbc", true}, {"a*c", "abcd", false},
		{"?", "", false}, {"?", "a", true}, {"a*b*c", "a-b-b-c", true}, {"a*b*c", "a-c", false}, {"**", "x", true}, {"a?", "a", false},
	} {
		if got := globMatches(test.pattern, test.s); got != test.want {
			t.Errorf("%q %q: %v", test.pattern, test.s, got)
		}
	}
}
