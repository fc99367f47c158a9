package awscall

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"statuscache/ingest/awstest"
)

// TestAnAnswerIsNotCutOff: the SDK closes the body of a request while net/http looks
// at it, and an error there cost the answer.
func TestAnAnswerIsNotCutOff(t *testing.T) {
	t.Parallel()
	_, _ = sfn.NewFromConfig(WithReadOnlyBody(awstest.LateBodyRead(t))).ListStateMachines(t.Context(), &sfn.ListStateMachinesInput{})
}

func TestAnAnswerOfAQueueIsNotCutOff(t *testing.T) {
	t.Parallel()
	url := "http://127.0.0.1:1/1/q"
	client, err := QueueClient(awstest.LateBodyRead(t), url)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url})
}
