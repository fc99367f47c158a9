package awstest

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
)

// EventsStack creates the CloudFormation template of a file in moto, with the state machines in its
// parameter and else with its defaults. It returns the outputs of the stack.
func EventsStack(t testing.TB, endpoint, file, machines string) (outputs map[string]string) {
	t.Helper()
	template, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cloudFormation(t, endpoint, url.Values{
		"Action": {"CreateStack"}, "StackName": {"events"}, "TemplateBody": {string(template)},
		"Parameters.member.1.ParameterKey": {"StateMachineArns"}, "Parameters.member.1.ParameterValue": {machines},
	}, nil)
	var stacks struct {
		Outputs []struct {
			Key   string `xml:"OutputKey"`
			Value string `xml:"OutputValue"`
		} `xml:"DescribeStacksResult>Stacks>member>Outputs>member"`
	}
	cloudFormation(t, endpoint, url.Values{"Action": {"DescribeStacks"}, "StackName": {"events"}}, &stacks)
	outputs = map[string]string{}
	for _, o := range stacks.Outputs {
		outputs[o.Key] = o.Value
	}
	return outputs
}

// cloudFormation calls CloudFormation, and decodes its answer, unless that is nil.
func cloudFormation(t testing.TB, endpoint string, form url.Values, answer any) {
	t.Helper()
	form.Set("Version", "2010-05-15")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	// The signature tells CloudFormation from other services. It is not checked.
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=local/20260101/eu-west-1/cloudformation/aws4_request, SignedHeaders=host, Signature=0")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", form.Get("Action"), response.Status)
	}
	if answer == nil {
		return
	}
	if err := xml.NewDecoder(response.Body).Decode(answer); err != nil {
		t.Fatal(err)
	}
}
