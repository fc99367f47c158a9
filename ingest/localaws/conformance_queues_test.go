package localaws_test

import (
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

func queueLife(c *calls) {
	queue := c.queue(map[string]string{"VisibilityTimeout": "7"})
	name := nameOf(queue)
	found, err := c.client.GetQueueUrl(c.Context(), &sqs.GetQueueUrlInput{QueueName: &name})
	c.ok(err)
	listed, err := c.client.ListQueues(c.Context(), &sqs.ListQueuesInput{QueueNamePrefix: &name})
	c.ok(err)
	again, err := c.client.CreateQueue(c.Context(), &sqs.CreateQueueInput{QueueName: &name})
	c.ok(err)
	if *found.QueueUrl != *queue || !slices.Equal(listed.QueueUrls, []string{*queue}) || *again.QueueUrl != *queue {
		c.Errorf("made %s, found %s, listed %v, made again %s", *queue, *found.QueueUrl, listed.QueueUrls, *again.QueueUrl)
	}
	_, err = c.client.SetQueueAttributes(c.Context(), &sqs.SetQueueAttributesInput{
		QueueUrl: queue, Attributes: map[string]string{"VisibilityTimeout": "9"},
	})
	c.ok(err)
	got := c.attributes(queue, types.QueueAttributeNameAll)
	for attribute, want := range map[string]string{
		"VisibilityTimeout": "9", "DelaySeconds": "0", "MaximumMessageSize": "1048576",
		"ReceiveMessageWaitTimeSeconds": "0", "ApproximateNumberOfMessages": "0",
		"QueueArn": "arn:aws:sqs:eu-west-1:000000000000:" + name,
	} {
		if got[attribute] != want {
			c.Errorf("%s is %q, want %q", attribute, got[attribute], want)
		}
	}
}

func purge(c *calls) {
	queue := c.queue(nil)
	c.send(queue, "a")
	c.one(queue, 10)
	c.send(queue, "b")
	_, err := c.client.PurgeQueue(c.Context(), &sqs.PurgeQueueInput{QueueUrl: queue})
	c.ok(err)
	c.wantHeld(queue, 0, 0)
}

// nameOf returns the name of the queue at a URL.
func nameOf(queue *string) string { return (*queue)[strings.LastIndexByte(*queue, '/')+1:] }

// mebibyte is the greatest length of a message, and of a batch.
const mebibyte = 1 << 20

func longest(c *calls) {
	queue := c.queue(nil)
	body := strings.Repeat("<", mebibyte-1) + ">"
	c.send(queue, body)
	if got := c.one(queue, 10); *got.Body != body {
		c.Errorf("received %d other bytes", len(*got.Body))
	}
}

// callsWithErrors are calls that fail as a whole, with the code that the SDK shows.
// The queue is empty.
var callsWithErrors = map[string]struct {
	code string
	call func(c *calls, queue *string) error
}{
	"no such queue": {"AWS.SimpleQueueService.NonExistentQueue", func(c *calls, queue *string) error {
		_, err := c.client.SendMessage(c.Context(), &sqs.SendMessageInput{QueueUrl: aws.String(*queue + "x"), MessageBody: aws.String("a")})
		return err
	}},
	"no queue of that name": {"AWS.SimpleQueueService.NonExistentQueue", func(c *calls, _ *string) error {
		_, err := c.client.GetQueueUrl(c.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("none")})
		return err
	}},
	"a message that is too long": {"InvalidParameterValue", func(c *calls, queue *string) error {
		_, err := c.client.SendMessage(c.Context(), &sqs.SendMessageInput{QueueUrl: queue, MessageBody: aws.String(strings.Repeat("a", mebibyte+1))})
		return err
	}},
	"a character that is not allowed": {"InvalidMessageContents", func(c *calls, queue *string) error {
		_, err := c.client.SendMessage(c.Context(), &sqs.SendMessageInput{QueueUrl: queue, MessageBody: aws.String("a\x00b")})
		return err
	}},
	"too many requested": {"InvalidParameterValue", func(c *calls, queue *string) error {
		_, err := c.client.ReceiveMessage(c.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue, MaxNumberOfMessages: 11})
		return err
	}},
	"waiting too long": {"InvalidParameterValue", func(c *calls, queue *string) error {
		_, err := c.client.ReceiveMessage(c.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue, WaitTimeSeconds: 21})
		return err
	}},
	"hidden too long": {"InvalidParameterValue", func(c *calls, queue *string) error {
		_, err := c.client.ReceiveMessage(c.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue, VisibilityTimeout: 43201})
		return err
	}},
	"an attribute out of bounds": {"InvalidAttributeValue", func(c *calls, queue *string) error {
		_, err := c.client.SetQueueAttributes(c.Context(), &sqs.SetQueueAttributesInput{
			QueueUrl: queue, Attributes: map[string]string{"VisibilityTimeout": "43201"},
		})
		return err
	}},
	"an empty batch": {"AWS.SimpleQueueService.EmptyBatchRequest", func(c *calls, queue *string) error {
		return c.sendBatch(queue, 1)
	}},
	"eleven in a batch": {"AWS.SimpleQueueService.TooManyEntriesInBatchRequest", func(c *calls, queue *string) error {
		return c.sendBatch(queue, 1, "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10")
	}},
	"an Id twice in a batch": {"AWS.SimpleQueueService.BatchEntryIdsNotDistinct", func(c *calls, queue *string) error {
		return c.sendBatch(queue, 1, "x", "x")
	}},
	"a wrong Id in a batch": {"AWS.SimpleQueueService.InvalidBatchEntryId", func(c *calls, queue *string) error {
		return c.sendBatch(queue, 1, "x y")
	}},
	"a batch that is too long": {"AWS.SimpleQueueService.BatchRequestTooLong", func(c *calls, queue *string) error {
		return c.sendBatch(queue, mebibyte/2+1, "x", "y")
	}},
}

// sendBatch sends messages with the given number of bytes under the given Ids.
func (c *calls) sendBatch(queue *string, bytes int, ids ...string) error {
	entries := []types.SendMessageBatchRequestEntry{}
	for _, id := range ids {
		entries = append(entries, types.SendMessageBatchRequestEntry{Id: &id, MessageBody: aws.String(strings.Repeat("a", bytes))})
	}
	_, err := c.client.SendMessageBatch(c.Context(), &sqs.SendMessageBatchInput{QueueUrl: queue, Entries: entries})
	return err
}

func typedErrors(c *calls) {
	queue := c.queue(map[string]string{"VisibilityTimeout": "7"})
	for name, test := range callsWithErrors {
		want := test.code
		if c.prefixesCodes && !strings.HasPrefix(want, "AWS.") {
			want = "AWS.SimpleQueueService." + want
		}
		err := test.call(c, queue)
		if typed, ok := errors.AsType[smithy.APIError](err); !ok || typed.ErrorCode() != want || typed.ErrorFault() == smithy.FaultServer {
			c.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	c.wantHeld(queue, 0, 0)
	_, noQueue := c.client.PurgeQueue(c.Context(), &sqs.PurgeQueueInput{QueueUrl: aws.String(*queue + "x")})
	_, sameName := c.client.CreateQueue(c.Context(), &sqs.CreateQueueInput{
		QueueName: aws.String(nameOf(queue)), Attributes: map[string]string{"VisibilityTimeout": "8"},
	})
	for name, ok := range map[string]bool{
		"no queue":  is[*types.QueueDoesNotExist](noQueue),
		"same name": is[*types.QueueNameExists](sameName),
		"empty":     is[*types.EmptyBatchRequest](c.sendBatch(queue, 1)),
		"eleven":    is[*types.TooManyEntriesInBatchRequest](c.sendBatch(queue, 1, strings.Split("abcdefghijk", "")...)),
		"twice":     is[*types.BatchEntryIdsNotDistinct](c.sendBatch(queue, 1, "x", "x")),
		"wrong":     is[*types.InvalidBatchEntryId](c.sendBatch(queue, 1, "")),
		"too long":  is[*types.BatchRequestTooLong](c.sendBatch(queue, mebibyte, "x", "y")),
	} {
		if !ok {
			c.Errorf("%s: not of the SDK's type", name)
		}
	}
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func partOfBatch(c *calls) {
	queue := c.queue(nil)
	out, err := c.client.SendMessageBatch(c.Context(), &sqs.SendMessageBatchInput{
		QueueUrl: queue,
		Entries: []types.SendMessageBatchRequestEntry{
			{Id: aws.String("bad"), MessageBody: aws.String("a\x00b")},
			{Id: aws.String("good"), MessageBody: aws.String("a")},
		},
	})
	c.ok(err)
	if len(out.Successful) != 1 || *out.Successful[0].Id != "good" || len(out.Failed) != 1 ||
		*out.Failed[0].Id != "bad" || *out.Failed[0].Code != "InvalidMessageContents" || !out.Failed[0].SenderFault {
		c.Errorf("sent %+v", out)
	}
	c.wantHeld(queue, 1, 0)
}
