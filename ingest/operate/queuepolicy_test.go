package operate

import (
	"strings"
	"testing"
)

const (
	ofQueue = "arn:aws:sqs:eu-west-1:123456789012:status-events"
	ofRule  = "arn:aws:events:eu-west-1:123456789012:rule/status-events"
)

func TestLetRuleSend(t *testing.T) {
	t.Parallel()
	stated := func(rest string) string {
		return `{"Version":"2012-10-17","Statement":[{"Sid":"a","Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"` + ofQueue + `"` + rest + `}]}`
	}
	for name, c := range map[string]struct {
		policy  string
		changed bool
	}{
		"none":             {"", true},
		"empty":            {`{"Version":"2012-10-17","Statement":[]}`, true},
		"the rule":         {stated(`,"Condition":{"ArnEquals":{"aws:SourceArn":"` + ofRule + `"}}`), false},
		"among others":     {stated(`,"Condition":{"ArnLike":{"AWS:SourceARN":["x","` + ofRule + `"]}}`), false},
		"all rules":        {stated(`,"Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:events:*:123456789012:rule/*"}}`), false},
		"no condition":     {stated(""), false},
		"another rule":     {stated(`,"Condition":{"ArnEquals":{"aws:SourceArn":"` + ofRule + `2"}}`), true},
		"another question": {stated(`,"Condition":{"Bool":{"aws:SecureTransport":"false"}}`), true},
		"who knows":        {stated(`,"Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}`), true},
		"its account":      {stated(`,"Condition":{"StringEquals":{"aws:SourceAccount":"123456789012"}}`), false},
		"another queue":    {strings.ReplaceAll(stated(""), ofQueue, ofQueue+"2"), true},
		"another action":   {strings.ReplaceAll(stated(""), "sqs:SendMessage", "sqs:ReceiveMessage"), true},
		"another service":  {strings.ReplaceAll(stated(""), "events.", "sns."), true},
	} {
		text, changed, err := letRuleSend(c.policy, ofQueue, ofRule)
		if err != nil || changed != c.changed || !changed && text != c.policy {
			t.Errorf("%s: %v, %v, %s", name, changed, err, text)
		}
		if again, more, err := letRuleSend(text, ofQueue, ofRule); more || err != nil || again != text {
			t.Errorf("%s: again: %v, %v, %s", name, more, err, again)
		}
		if inner := strings.TrimSuffix(strings.TrimPrefix(c.policy, `{"Version":"2012-10-17","Statement":[`), "]}"); !strings.Contains(text, inner) {
			t.Errorf("%s: %s is missing in %s", name, inner, text)
		}
	}
	for _, wrong := range []string{"x", `{"Statement":7}`, `{"Statement":[7]}`} {
		if _, _, err := letRuleSend(wrong, ofQueue, ofRule); err == nil {
			t.Errorf("%s: no error", wrong)
		}
	}
}

// TestAPolicyWithoutAVersion gets a version, because an empty version is not valid.
func TestAPolicyWithoutAVersion(t *testing.T) {
	t.Parallel()
	text, changed, err := letRuleSend(`{"Statement":[]}`, ofQueue, ofRule)
	if err != nil || !changed || !strings.Contains(text, `"Version":"2012-10-17"`) {
		t.Errorf("%s, %v, %v", text, changed, err)
	}
}

// TestOpenPolicies: a condition that names no principal does not close a policy.
func TestOpenPolicies(t *testing.T) {
	t.Parallel()
	for condition, open := range map[string]bool{
		``: true, `,"Condition":{"ArnLike":{"aws:SourceArn":"*"}}`: true, `,"Condition":{"Bool":{"aws:SecureTransport":"true"}}`: true,
		`,"Condition":{"ArnEquals":{"aws:SourceArn":"` + ofRule + `"}}`: false, `,"Condition":{"StringEquals":{"aws:SourceAccount":"1"}}`: false,
	} {
		_, statements, err := parsePolicy(`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"*"` + condition + `}]}`)
		sids, others := openTo(statements, ofQueue)
		if err != nil || (len(sids) > 0) != open || len(sids)+len(others) != 1 {
			t.Errorf("%s: %v, %v", condition, sids, err)
		}
	}
}

// FuzzLetRuleSend: any policy is refused, or lets the rule send and does not change again.
func FuzzLetRuleSend(f *testing.F) {
	f.Add("")
	f.Add(`{"Statement":{"Effect":"Deny","Principal":"*","Action":["sqs:*"],"Resource":"arn:*[","Condition":{}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		got, _, err := letRuleSend(text, ofQueue, ofRule)
		if err != nil {
			return
		}
		if _, _, err := parsePolicy(got); err != nil {
			t.Errorf("%q became %q: %v", text, got, err)
		}
	})
}
