package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"statuscache/cache"
	"statuscache/cache/cachetest"
	"statuscache/ingest/awstest"
)

// TestAnEventOfTheEventsStackIsServed creates deploy/cloudformation/events.yaml in an independent
// AWS emulator and starts statusd with its outputs. An event on the bus of the stack is served.
func TestAnEventOfTheEventsStackIsServed(t *testing.T) {
	t.Parallel()
	endpoint := awstest.Moto(t)
	machine, err := awstest.StepFunctions(t, endpoint).CreateStateMachine(t.Context(), &sfn.CreateStateMachineInput{
		Name: aws.String("Pipeline"), RoleArn: aws.String("arn:aws:iam::123456789012:role/pipeline"),
		Definition: aws.String(`{"StartAt":"Done","States":{"Done":{"Type":"Succeed"}}}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	stack := awstest.EventsStack(t, endpoint, "../../deploy/cloudformation/events.yaml", aws.ToString(machine.StateMachineArn))
	d := startDaemon(t, cachetest.Redis(t), stack["SqsQueueUrl"],
		"STATE_MACHINES="+stack["StateMachines"], "AWS_REGION="+stack["AwsRegion"], "AWS_ENDPOINT_URL="+endpoint)

	text, err := os.ReadFile("../../deploy/first-event.json")
	if err != nil {
		t.Fatal(err)
	}
	var entries []eventtypes.PutEventsRequestEntry
	if err := json.Unmarshal([]byte(strings.Replace(string(text), "NOW", fmt.Sprint(time.Now().Unix()), 1)), &entries); err != nil {
		t.Fatal(err)
	}
	for i := range entries {
		entries[i].EventBusName = aws.String(stack["EventBus"])
	}
	put, err := awstest.EventBridge(t, endpoint).PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: entries})
	if err != nil || put.FailedEntryCount > 0 {
		t.Fatal(err, put)
	}
	const first cache.ARN = "arn:aws:states:eu-west-1:123456789012:execution:Pipeline:first"
	cachetest.Eventually(t, "the event is served", func() bool {
		status, body := d.status(first, d.key)
		return status == http.StatusOK && strings.Contains(body, `"RUNNING"`)
	})
}
