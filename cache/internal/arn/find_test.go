package arn

import (
	"net/url"
	"testing"
)

const (
	foundExecution = "arn:aws:states:eu-west-1:123456789012:execution:Pipeline:a+b.(1)"
	foundMachine   = "arn:aws-us-gov:states:us-gov-west-1:123456789012:stateMachine:Pipeline"
	foundChild     = "arn:aws-cn:states:cn-north-1:123456789012:execution:Pipeline/Map:a"
	consolePage    = "https://eu-west-1.console.aws.amazon.com/states/home?region=eu-west-1#/v2/executions/details/"
)

func TestFind(t *testing.T) {
	t.Parallel()
	for _, arn := range []string{foundExecution, foundMachine, foundChild, "arn:aws:states:eu-west-1:123456789012:express:m:n:1f2e", "arn:aws:states:eu-west-1:123456789012:execution:m:it's"} {
		encoded := url.QueryEscape(arn)
		for _, text := range []string{
			arn, url.PathEscape(arn), encoded, url.QueryEscape(encoded),
			" " + arn + "\t", arn + "\r\n", "\u00a0" + arn + "\u00a0", "\ufeff" + arn, `"` + arn + `"`, "`" + arn + "`", "<" + arn + ">", arn + ",", arn + "/", arn + ";",
			consolePage + arn, consolePage + encoded, consolePage + arn + "?tab=events", consolePage + arn + "#top", consolePage + encoded + "?redriveCount=0&x=1",
			"http://127.0.0.1:8080/v1/status/" + encoded + "?view=full", `{"executionArn":"` + arn + `","owner":"ada"}`, "executionArn: " + arn,
		} {
			if got := Find(text); got != arn {
				t.Errorf("%q: %q", text, got)
			}
		}
	}
	for _, text := range []string{"'" + foundExecution + "'", "“" + foundExecution + "”", consolePage + foundExecution + "/redrive"} {
		if got := Find(text); got != foundExecution {
			t.Errorf("%q: %q", text, got)
		}
	}
	for _, text := range []string{"", "a-name", "%", "arn:aws", foundExecution + " and more", "arn:aws:sqs:eu-west-1:123456789012:queue", consolePage} {
		if got := Find(text); got != "" {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func FuzzFind(f *testing.F) {
	f.Add(consolePage + foundExecution)
	f.Add("'" + foundMachine + "'")
	f.Add("%2525arn:aws%00")
	f.Fuzz(func(t *testing.T, text string) {
		if got := Find(text); got != "" && !isARN(got) {
			t.Errorf("%q is no ARN", got)
		}
	})
}
