package operate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestPoliciesAllowOrDeny: each form of a statement, alone or with one that lets the rule send.
func TestPoliciesAllowOrDeny(t *testing.T) {
	t.Parallel()
	// allow is a statement; changes replace parts of it.
	allow := func(changes ...string) string {
		return strings.NewReplacer(changes...).Replace(`{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"` + ofQueue + `"}`)
	}
	under := func(condition string) string {
		return allow(ofQueue+`"}`, ofQueue+`","Condition":`+condition+`}`)
	}
	deny := func(principal, rest string) string {
		return `{"Effect":"Deny",` + principal + `,"Action":"sqs:*","Resource":"*"` + rest + `},` + allow()
	}
	const everybody = `"Principal":"*"`
	for name, c := range map[string]struct {
		statements string
		want       answer
	}{
		"nothing":             {``, no},
		"the service":         {allow(), yes},
		"services":            {allow(`"events.amazonaws.com"`, `["sns.amazonaws.com","events.amazonaws.com"]`), yes},
		"everybody":           {allow(`{"Service":"events.amazonaws.com"}`, `"*"`), yes},
		"everybody's account": {allow(`{"Service":"events.amazonaws.com"}`, `{"AWS":"*"}`), yes},
		"in a list":           {allow(`{"Service":"events.amazonaws.com"}`, `{"AWS":["1","*"]}`), yes},
		"an account":          {allow(`{"Service":"events.amazonaws.com"}`, `{"AWS":"arn:aws:iam::123456789012:root"}`), no},
		"but another":         {allow(`"Principal":{"Service":"events.amazonaws.com"}`, `"NotPrincipal":{"AWS":"1"}`), yes},
		"not this one":        {allow(`"Principal"`, `"NotPrincipal"`), no},
		"all actions":         {allow("sqs:SendMessage", "SQS:*"), yes},
		"any action":          {allow("sqs:SendMessage", "*"), yes},
		"what sends":          {allow("sqs:SendMessage", "sqs:send*"), yes},
		"several actions":     {allow(`"sqs:SendMessage"`, `["sqs:SendMessage","sqs:GetQueueAttributes","sqs:GetQueueUrl"]`), yes},
		"another action":      {allow("sqs:SendMessage", "sqs:ReceiveMessage"), no},
		"but another action":  {allow(`"Action":"sqs:SendMessage"`, `"NotAction":"sqs:DeleteQueue"`), yes},
		"but this action":     {allow(`"Action"`, `"NotAction"`), no},
		"any queue":           {allow(ofQueue, "*"), yes},
		"queues that begin":   {allow(ofQueue, "arn:aws:sqs:*:123456789012:status-*"), yes},
		"one character":       {allow(ofQueue, ofQueue[:len(ofQueue)-1]+"?"), yes},
		"another queue":       {allow(ofQueue, ofQueue+"2"), no},
		"but another queue":   {allow(`"Resource":"`, `"NotResource":"x`), yes},

		"its ARN":             {under(`{"ArnEquals":{"aws:SourceArn":"` + ofRule + `"}}`), yes},
		"its ARN, any case":   {under(`{"ArnLike":{"AWS:SOURCEARN":["x","` + ofRule + `"]}}`), yes},
		"ARNs that begin":     {under(`{"ArnEquals":{"aws:SourceArn":"arn:aws:events:*:123456789012:rule/status-*"}}`), yes},
		"an ARN too short":    {under(`{"ArnLike":{"aws:SourceArn":"arn:aws:events:*"}}`), no},
		"a text like it":      {under(`{"StringLike":{"aws:SourceArn":"arn:aws:events:*"}}`), yes},
		"a text, no glob":     {under(`{"StringEquals":{"aws:SourceArn":"arn:aws:events:*"}}`), no},
		"any case":            {under(`{"StringEqualsIgnoreCase":{"aws:SourceArn":"` + strings.ToUpper(ofRule) + `"}}`), yes},
		"the case counts":     {under(`{"StringEquals":{"aws:SourceArn":"` + strings.ToUpper(ofRule) + `"}}`), no},
		"its account":         {under(`{"StringEquals":{"aws:SourceAccount":"123456789012"}}`), yes},
		"one of accounts":     {under(`{"StringEquals":{"aws:SourceAccount":["1","123456789012"]}}`), yes},
		"another account":     {under(`{"StringEquals":{"aws:SourceAccount":"1"}}`), no},
		"both keys":           {under(`{"StringEquals":{"aws:SourceAccount":"123456789012"},"ArnLike":{"aws:SourceArn":"` + ofRule + `"}}`), yes},
		"one key of two":      {under(`{"StringEquals":{"aws:SourceAccount":"123456789012"},"ArnLike":{"aws:SourceArn":"` + ofRule + `2"}}`), no},
		"if there":            {under(`{"StringEqualsIfExists":{"aws:SourceAccount":"123456789012"}}`), yes},
		"if there, another":   {under(`{"ArnLikeIfExists":{"aws:SourceArn":"` + ofRule + `2"}}`), no},
		"not another":         {under(`{"StringNotEquals":{"aws:SourceAccount":["1","2"]}}`), yes},
		"not this account":    {under(`{"StringNotEquals":{"aws:SourceAccount":["1","123456789012"]}}`), no},
		"not like":            {under(`{"ArnNotLike":{"aws:SourceArn":"arn:aws:events:*:123456789012:rule/*"}}`), no},
		"not, any case":       {under(`{"StringNotEqualsIgnoreCase":{"aws:SourceAccount":"123456789012"}}`), no},
		"any of values":       {under(`{"ForAnyValue:StringLike":{"aws:PrincipalServiceNamesList":"events.*"}}`), yes},
		"all of values":       {under(`{"ForAllValues:StringEquals":{"aws:SourceAccount":["123456789012","1"]}}`), yes},
		"there at all":        {under(`{"Null":{"aws:SourceArn":"false"}}`), yes},
		"not there":           {under(`{"Null":{"aws:SourceArn":true}}`), no},
		"over TLS":            {under(`{"Bool":{"aws:SecureTransport":true}}`), yes},
		"without TLS":         {under(`{"Bool":{"aws:SecureTransport":"false"}}`), no},
		"an organisation":     {under(`{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}`), no},
		"an endpoint":         {under(`{"StringEquals":{"aws:SourceVpce":"vpce-1"}}`), no},
		"an endpoint if any":  {under(`{"StringEqualsIfExists":{"aws:SourceVpce":"vpce-1"}}`), yes},
		"no endpoint":         {under(`{"Null":{"aws:SourceVpce":"true"}}`), yes},
		"some endpoint":       {under(`{"Null":{"aws:SourceVpce":"false"}}`), no},
		"all of no values":    {under(`{"ForAllValues:StringLike":{"aws:PrincipalOrgPaths":"o-1/*"}}`), yes},
		"any of no values":    {under(`{"ForAnyValue:StringLike":{"aws:PrincipalOrgPaths":"o-1/*"}}`), no},
		"its organisation":    {under(`{"StringEquals":{"aws:SourceOrgID":"o-1"}}`), unknown},
		"unknown and no":      {under(`{"StringEquals":{"aws:SourceOrgID":"o-1","aws:SourceAccount":"1"}}`), no},
		"a date":              {under(`{"DateLessThan":{"aws:CurrentTime":"2030-01-01T00:00:00Z"}}`), unknown},
		"a variable":          {under(`{"ArnEquals":{"aws:SourceArn":"arn:aws:events:*:${aws:PrincipalAccount}:rule/*"}}`), unknown},
		"an unknown operator": {under(`{"StringSounds":{"aws:SourceAccount":"1"}}`), unknown},
		"unknown beside yes":  {under(`{"StringEquals":{"aws:SourceOrgID":"o-1"}}`) + "," + allow(), yes},

		"denied":                  {deny(everybody, ""), no},
		"denied without TLS":      {deny(everybody, `,"Condition":{"Bool":{"aws:SecureTransport":"false"}}`), yes},
		"denied, false unquoted":  {deny(everybody, `,"Condition":{"Bool":{"aws:SecureTransport":false}}`), yes},
		"denied but to it":        {deny(`"NotPrincipal":{"Service":["events.amazonaws.com"]}`, ""), yes},
		"denied but to others":    {deny(`"NotPrincipal":{"AWS":"arn:aws:iam::123456789012:root"}`, ""), no},
		"denied to others":        {deny(`"Principal":{"AWS":"arn:aws:iam::1:root"}`, ""), yes},
		"denied to other rules":   {deny(everybody, `,"Condition":{"ArnNotLike":{"aws:SourceArn":"`+ofRule+`"}}`), yes},
		"denied to this rule":     {deny(everybody, `,"Condition":{"ArnLike":{"aws:SourceArn":"`+ofRule+`"}}`), no},
		"denied to people":        {deny(everybody, `,"Condition":{"BoolIfExists":{"aws:PrincipalIsAWSService":"false"},"StringNotEquals":{"aws:PrincipalOrgID":"o-1"}}`), yes},
		"denied outside":          {deny(everybody, `,"Condition":{"StringNotEquals":{"aws:PrincipalOrgID":"o-1"}}`), no},
		"denied outside if any":   {deny(everybody, `,"Condition":{"StringNotEqualsIfExists":{"aws:PrincipalOrgID":"o-1"}}`), no},
		"denied past an endpoint": {deny(everybody, `,"Condition":{"StringNotEquals":{"aws:SourceVpce":"vpce-1"}}`), no},
		"denied past any":         {deny(everybody, `,"Condition":{"Null":{"aws:SourceVpce":"true"}}`), no},
		"denied in another org":   {deny(everybody, `,"Condition":{"StringNotEquals":{"aws:SourceOrgID":"o-1"}}`), unknown},
		"denied in another place": {deny(everybody, `,"Condition":{"StringNotEquals":{"aws:RequestedRegion":"eu-west-1"}}`), yes},
		"another denied action":   {strings.Replace(deny(everybody, ""), "sqs:*", "sqs:Delete*", 1), yes},
		"all but one denied":      {strings.Replace(deny(everybody, ""), `"Action":"sqs:*"`, `"NotAction":"sqs:SendMessage"`, 1), yes},
	} {
		_, statements, err := parsePolicy(`{"Version":"2012-10-17","Statement":[` + c.statements + `]}`)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		v := evaluate(statements, sending{ofQueue, ofRule})
		if v.may() != c.want || c.want == unknown && len(v.depends) == 0 {
			t.Errorf("%s: %+v, want %d", name, v, c.want)
		}
	}
}

// TestTheVerdictNamesItsConditions, and the statement that denies.
func TestTheVerdictNamesItsConditions(t *testing.T) {
	t.Parallel()
	_, statements, err := parsePolicy(fmt.Sprintf(`{"Statement":[
		{"Sid":"One","Effect":"Allow","Principal":"*","Action":"*","Resource":%q,"Condition":{"StringEquals":{"aws:SourceOrgID":"o-1","aws:SourceAccount":"123456789012"}}},
		{"Sid":"Two","Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}]}`, ofQueue))
	must(t, err)
	if v := evaluate(statements, sending{ofQueue, ofRule}); !slices.Equal(v.depends, []string{"aws:SourceIp", "aws:SourceOrgID"}) || v.denies != "Two" {
		t.Errorf("%+v", v)
	}
}
