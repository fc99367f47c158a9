package localaws_test

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"statuscache/cache/cachetest"
	"statuscache/ingest/sqstest"
)

func sendReceiveDelete(c *calls) {
	queue := c.queue(nil)
	body := `{"text":"<ü> & \"quotes\" \\ ` + "\t\r\n\uFFFD" + `🙂"}`
	if c.refusesEmoji {
		body = strings.Replace(body, "🙂", "", 1)
	}
	sent := c.send(queue, body)
	got := c.one(queue, 10)
	if *got.Body != body || *got.MessageId != *sent.MessageId || *got.MD5OfBody != *sent.MD5OfMessageBody {
		c.Errorf("sent %+v, received %+v", sent, got)
	}
	c.wantHeld(queue, 0, 1)
	c.remove(queue, got.ReceiptHandle)
	c.wantHeld(queue, 0, 0)
	c.remove(queue, got.ReceiptHandle) // once more is no error
}

func batches(c *calls) {
	queue := c.queue(nil)
	in := &sqs.SendMessageBatchInput{QueueUrl: queue}
	for i := range 10 {
		in.Entries = append(in.Entries, types.SendMessageBatchRequestEntry{
			Id: aws.String(fmt.Sprintf("a-%d_Z", i)), MessageBody: aws.String(strconv.Itoa(i)),
		})
	}
	sent, err := c.client.SendMessageBatch(c.Context(), in)
	c.ok(err)
	if len(sent.Successful) != 10 || len(sent.Failed) != 0 {
		c.Fatalf("sent %+v", sent)
	}
	remove := &sqs.DeleteMessageBatchInput{QueueUrl: queue}
	bodies := map[string]bool{}
	for i, m := range c.receive(queue, 10) {
		bodies[*m.Body] = true
		remove.Entries = append(remove.Entries, types.DeleteMessageBatchRequestEntry{
			Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle,
		})
	}
	if len(bodies) != 10 {
		c.Fatalf("received %v", bodies)
	}
	removed, err := c.client.DeleteMessageBatch(c.Context(), remove)
	c.ok(err)
	if len(removed.Successful) != 10 || len(removed.Failed) != 0 {
		c.Errorf("deleted %+v", removed)
	}
	c.wantHeld(queue, 0, 0)
}

func systemAttributes(c *calls) {
	queue := c.queue(map[string]string{"VisibilityTimeout": "0"})
	before := time.Now().Add(-time.Second).UnixMilli()
	c.send(queue, "a")
	for i := 1; i <= 3; i++ {
		m := c.one(queue, 10)
		if receives(m) != strconv.Itoa(i) {
			c.Errorf("receive %d was counted as %s", i, receives(m))
		}
		for _, name := range []string{"SentTimestamp", "ApproximateFirstReceiveTimestamp"} {
			ms, err := strconv.ParseInt(m.Attributes[name], 10, 64)
			if err != nil || ms < before || ms > time.Now().Add(time.Second).UnixMilli() {
				c.Errorf("%s is %q", name, m.Attributes[name])
			}
		}
	}
	in := &sqs.ReceiveMessageInput{QueueUrl: queue, WaitTimeSeconds: 10}
	for _, names := range [][]types.MessageSystemAttributeName{nil, {"SentTimestamp"}} {
		in.MessageSystemAttributeNames = names
		out, err := c.client.ReceiveMessage(c.Context(), in)
		c.ok(err)
		if len(out.Messages) != 1 || len(out.Messages[0].Attributes) != len(names) {
			c.Errorf("requested %v, received %+v", names, out.Messages)
		}
	}
}

const checksumOfAttributes = "33fd7304041606068d7d953995d7223c"

func messageAttributes(c *calls) {
	queue := c.queue(nil)
	sent, err := c.client.SendMessage(c.Context(), &sqs.SendMessageInput{
		QueueUrl: queue, MessageBody: aws.String("a"),
		MessageAttributes: map[string]types.MessageAttributeValue{
			"text":   {DataType: aws.String("String"), StringValue: aws.String("x")},
			"number": {DataType: aws.String("Number"), StringValue: aws.String("7")},
			"bytes":  {DataType: aws.String("Binary"), BinaryValue: []byte{0, 1}},
		},
	})
	c.ok(err)
	// A checksum that was calculated only from the description of the algorithm.
	if got := aws.ToString(sent.MD5OfMessageAttributes); got != checksumOfAttributes {
		c.Errorf("checksum %s, want %s", got, checksumOfAttributes)
	}
	out, err := c.client.ReceiveMessage(c.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: queue, WaitTimeSeconds: 10, MessageAttributeNames: []string{"All"},
	})
	c.ok(err)
	if len(out.Messages) != 1 {
		c.Fatalf("received %d messages", len(out.Messages))
	}
	got := out.Messages[0]
	if *got.Body != "a" || aws.ToString(got.MD5OfMessageAttributes) != checksumOfAttributes || len(got.MessageAttributes) != 3 ||
		aws.ToString(got.MessageAttributes["text"].StringValue) != "x" ||
		aws.ToString(got.MessageAttributes["number"].DataType) != "Number" ||
		!bytes.Equal(got.MessageAttributes["bytes"].BinaryValue, []byte{0, 1}) {
		c.Errorf("received %+v", got)
	}
}

func visibilityTimeOut(c *calls) {
	queue := c.queue(map[string]string{"VisibilityTimeout": "2"})
	c.send(queue, "a")
	start := time.Now() // it is received after that time
	first := c.one(queue, 10)
	second := c.one(queue, 20)
	if took := time.Since(start); took < 1900*time.Millisecond {
		c.Errorf("came back after %v", took)
	}
	if *first.MessageId != *second.MessageId || receives(first) != "1" || receives(second) != "2" {
		c.Errorf("received %+v, then %+v", first, second)
	}
}

func extension(c *calls) {
	queue := c.queue(map[string]string{"VisibilityTimeout": "3"})
	cachetest.Eventually(c, "a message is extended before its visibility time-out", func() bool {
		c.send(queue, "a")
		start := time.Now()
		receipt := c.one(queue, 10).ReceiptHandle
		c.hide(queue, receipt, 600)
		if time.Since(start) < 3*time.Second {
			return true
		}
		c.remove(queue, receipt)
		return false
	})
	if got := c.receive(queue, 4); len(got) != 0 {
		c.Errorf("received while extended: %+v", got)
	}
	c.wantHeld(queue, 0, 1)
}

func giveBack(c *calls) {
	queue := c.queue(nil)
	c.send(queue, "a")
	first := c.one(queue, 10)
	c.hide(queue, first.ReceiptHandle, 0)
	if second := c.one(queue, 10); receives(second) != "2" {
		c.Errorf("received %+v, then %+v", first, second)
	}
}

func giveBackBatch(c *calls) {
	queue := c.queue(nil)
	c.send(queue, "a")
	c.send(queue, "b")
	got := c.receive(queue, 10)
	in := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: queue}
	for i, m := range got {
		in.Entries = append(in.Entries, types.ChangeMessageVisibilityBatchRequestEntry{
			Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0,
		})
	}
	out, err := c.client.ChangeMessageVisibilityBatch(c.Context(), in)
	c.ok(err)
	if len(got) != 2 || len(out.Successful) != 2 || len(out.Failed) != 0 {
		c.Errorf("received %d, gave back %+v", len(got), out)
	}
	c.wantHeld(queue, 2, 0)
}

func staleReceipt(c *calls) {
	queue := c.queue(nil)
	c.send(queue, "a")
	stale := c.one(queue, 10).ReceiptHandle
	c.hide(queue, stale, 0)
	latest := c.one(queue, 10).ReceiptHandle
	c.remove(queue, stale)
	c.wantHeld(queue, 0, 1)
	c.remove(queue, latest)
	c.wantHeld(queue, 0, 0)
}

func garbageReceipt(c *calls) {
	queue := c.queue(nil)
	_, err := c.client.DeleteMessage(c.Context(), &sqs.DeleteMessageInput{QueueUrl: queue, ReceiptHandle: aws.String("garbage")})
	if typed, ok := errors.AsType[*types.ReceiptHandleIsInvalid](err); ok == c.takesAnyReceipt {
		c.Errorf("delete: %v (%v)", typed, err)
	}
	out, err := c.client.DeleteMessageBatch(c.Context(), &sqs.DeleteMessageBatchInput{
		QueueUrl: queue,
		Entries:  []types.DeleteMessageBatchRequestEntry{{Id: aws.String("x"), ReceiptHandle: aws.String("garbage")}},
	})
	c.ok(err)
	if c.takesAnyReceipt {
		return
	}
	if len(out.Failed) != 1 || *out.Failed[0].Id != "x" || *out.Failed[0].Code != "ReceiptHandleIsInvalid" || !out.Failed[0].SenderFault {
		c.Errorf("batch delete: %+v", out)
	}
}

func redrive(c *calls) {
	url, deadURL := sqstest.NewQueueWithDeadLetters(c, c.client, 2, map[string]string{"VisibilityTimeout": "0"})
	queue, dead := &url, &deadURL
	sent := c.send(queue, "a")
	for i := 1; i <= 2; i++ {
		if got := c.one(queue, 10); receives(got) != strconv.Itoa(i) {
			c.Errorf("receive %d was counted as %s", i, receives(got))
		}
	}
	c.wantHeld(dead, 0, 0)
	if got := c.receive(queue, 1); len(got) != 0 {
		c.Errorf("received once more: %+v", got)
	}
	got := c.one(dead, 10)
	if *got.MessageId != *sent.MessageId || *got.Body != "a" {
		c.Errorf("sent %+v, the dead letter is %+v", sent, got)
	}
	c.wantHeld(queue, 0, 0)
}

func delayed(c *calls) {
	queue := c.queue(nil)
	start := time.Now()
	_, err := c.client.SendMessage(c.Context(), &sqs.SendMessageInput{QueueUrl: queue, MessageBody: aws.String("a"), DelaySeconds: 1})
	c.ok(err)
	c.one(queue, 20)
	if took := time.Since(start); took < 900*time.Millisecond {
		c.Errorf("came after %v", took)
	}
}
