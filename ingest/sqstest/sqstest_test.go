package sqstest

import (
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// roundTrip sends a message to a new queue and receives it.
func roundTrip(t *testing.T, endpoint string) {
	t.Helper()
	client := Client(t, endpoint)
	queue := aws.String(NewQueue(t, client, map[string]string{"VisibilityTimeout": "7"}))
	if _, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: queue, MessageBody: aws.String("a")}); err != nil {
		t.Fatal(err)
	}
	out, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue, WaitTimeSeconds: 10})
	if err != nil || len(out.Messages) != 1 || aws.ToString(out.Messages[0].Body) != "a" {
		t.Fatalf("received %+v, %v", out, err)
	}
}

func TestLocalWorksAndEndsWithTheTest(t *testing.T) {
	t.Parallel()
	var endpoint string
	t.Run("a test", func(t *testing.T) {
		endpoint, _ = Local(t)
		roundTrip(t, endpoint)
	})
	wantNothingListens(t, endpoint)
}

func TestFauxqsWorksAndEndsWithTheTest(t *testing.T) {
	t.Parallel()
	var endpoint string
	t.Run("a test", func(t *testing.T) {
		endpoint = Fauxqs(t)
		roundTrip(t, endpoint)
	})
	wantNothingListens(t, endpoint)
}

func wantNothingListens(t *testing.T, endpoint string) {
	t.Helper()
	if response, err := http.Get(endpoint); err == nil {
		response.Body.Close()
		t.Errorf("%s still answers", endpoint)
	}
}
