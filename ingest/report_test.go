package ingest

import (
	"log/slog"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"statuscache/ingest/awstest"
	"statuscache/ingest/sqstest"
)

// TestTheQueueIsMeasured: what waits, since when, and the dead letters, from a queue of SQS.
func TestTheQueueIsMeasured(t *testing.T) {
	t.Parallel()
	endpoint, _ := sqstest.Local(t)
	settings := awstest.Config(t, endpoint)
	client := sqs.NewFromConfig(settings)
	queueOf := func(name string, attributes map[string]string) string {
		made, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
		must(t, err)
		return aws.ToString(made.QueueUrl)
	}
	send := func(url, text string) {
		_, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &text})
		must(t, err)
	}
	dead := queueOf("measured-dlq", nil)
	url := queueOf("measured", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:000000000000:measured-dlq","maxReceiveCount":5}`})
	alone := queueOf("alone", nil)
	c := NewConsumer(Options{Cache: &fakeCache{}, Log: slog.New(slog.DiscardHandler)})
	measure := func(url string) (depth int64, oldest *time.Duration, deadLetters *int64) {
		q, err := NewSQS(settings, url, nil)
		must(t, err)
		got, err := (&Intake{Queue: q, Consumer: c}).Measure(t.Context())
		must(t, err)
		return got.Depth, got.Oldest, got.DeadLetters
	}
	if depth, oldest, letters := measure(url); depth != 0 || oldest == nil || *oldest != 0 || letters == nil || *letters != 0 {
		t.Errorf("an empty queue has %d, %v, %v", depth, oldest, letters)
	}
	send(url, "a")
	send(url, "b")
	send(dead, "c")
	if depth, oldest, letters := measure(url); depth != 2 || oldest != nil || letters == nil || *letters != 1 {
		t.Errorf("before anything was received: %d, %v, %v", depth, oldest, letters)
	}
	q, err := NewSQS(settings, url, nil)
	must(t, err)
	messages, err := q.Receive(t.Context(), time.Second)
	must(t, err)
	if len(messages) == 0 || messages[0].Sent.IsZero() {
		t.Fatalf("received %+v", messages)
	}
	c.reach([]Message{{Sent: time.Now().Add(-time.Hour)}})
	send(url, "d")
	if _, oldest, _ := measure(url); oldest == nil || *oldest < time.Hour || *oldest > 2*time.Hour {
		t.Errorf("an hour behind: %v", oldest)
	}
	if _, _, letters := measure(alone); letters != nil {
		t.Errorf("a queue without dead letters has %d", *letters)
	}
}

// TestHowFarTheQueueIsRead: up to the newest message, or to now where there is none; never back.
func TestHowFarTheQueueIsRead(t *testing.T) {
	t.Parallel()
	c := NewConsumer(Options{Cache: &fakeCache{}, Log: slog.New(slog.DiscardHandler)})
	at := func(minutes int) Message { return Message{Sent: time.Now().Add(time.Duration(minutes) * time.Minute)} }
	for i, each := range []struct {
		messages []Message
		behind   time.Duration // at least
	}{
		{[]Message{at(-50), at(-40), at(-45)}, 40 * time.Minute},
		{[]Message{at(-49)}, 40 * time.Minute},
		{[]Message{{}}, 40 * time.Minute}, // a stand-in that does not say when it was sent
		{[]Message{at(-10)}, 10 * time.Minute},
		{nil, 0},
	} {
		c.reach(each.messages)
		oldest := c.oldest(1)
		if oldest == nil || *oldest < each.behind || *oldest > each.behind+5*time.Minute {
			t.Errorf("after receive %d: %v, want %v", i, oldest, each.behind)
		}
	}
}
