package localaws_test

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"statuscache/ingest/localaws"
	"statuscache/ingest/sqstest"
)

// localCalls starts a stand-in with one queue.
func localCalls(t *testing.T) (c *calls, queue *string) {
	t.Helper()
	endpoint, server := sqstest.Local(t)
	c = &calls{T: t, client: sqstest.Client(t, endpoint), implementation: implementation{endpoint: endpoint, server: server}}
	return c, c.queue(nil)
}

func once(o *sqs.Options) { o.Retryer = aws.NopRetryer{} }

// deleteBatch deletes messages by one call and returns the bodies of those that are under
// Failed.
func (c *calls) deleteBatch(queue *string, messages []types.Message) []string {
	c.Helper()
	in := &sqs.DeleteMessageBatchInput{QueueUrl: queue}
	for _, m := range messages {
		in.Entries = append(in.Entries, types.DeleteMessageBatchRequestEntry{Id: m.Body, ReceiptHandle: m.ReceiptHandle})
	}
	out, err := c.client.DeleteMessageBatch(c.Context(), in)
	c.ok(err)
	if len(out.Successful)+len(out.Failed) != len(messages) {
		c.Errorf("deleted %+v", out)
	}
	var failed []string
	for _, f := range out.Failed {
		if failed = append(failed, *f.Id); f.SenderFault {
			c.Errorf("failed by our fault: %+v", f)
		}
	}
	return failed
}

func isB(body string) bool { return body == "b" }

// Each fault is caused on a queue with the messages a and b, which are received and deleted in
// one batch.
func TestFaultsOfDeletes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		faults            localaws.Faults
		failed            string
		visible, inFlight int
	}{
		"none":                    {localaws.Faults{}, "", 0, 0},
		"the delete of b fails":   {localaws.Faults{FailDelete: isB}, "b", 0, 1},
		"b comes back":            {localaws.Faults{Resurrect: isB}, "", 1, 0},
		"failing comes first":     {localaws.Faults{FailDelete: isB, Resurrect: isB}, "b", 0, 1},
		"a fault of another call": {localaws.Faults{FailReceive: func() error { return localaws.ErrThrottled }}, "", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, queue := localCalls(t)
			c.send(queue, "a")
			c.send(queue, "b")
			received := c.receive(queue, 0)
			c.server.SetFaults(test.faults)
			if failed := strings.Join(c.deleteBatch(queue, received), ","); failed != test.failed {
				c.Errorf("failed: %q, want %q", failed, test.failed)
			}
			c.wantHeld(queue, test.visible, test.inFlight)
		})
	}
}

func TestSingleDeleteFails(t *testing.T) {
	t.Parallel()
	c, queue := localCalls(t)
	c.send(queue, "b")
	in := &sqs.DeleteMessageInput{QueueUrl: queue, ReceiptHandle: c.one(queue, 0).ReceiptHandle}
	c.server.SetFaults(localaws.Faults{FailDelete: isB})
	_, err := c.client.DeleteMessage(c.Context(), in, once)
	if response, ok := errors.AsType[*smithyhttp.ResponseError](err); !ok || response.HTTPStatusCode() != http.StatusInternalServerError {
		c.Errorf("deleted with %v", err)
	}
	c.wantHeld(queue, 0, 1)
	c.server.SetFaults(localaws.Faults{})
	c.remove(queue, in.ReceiptHandle)
	c.wantHeld(queue, 0, 0)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	throttles := retry.ThrottleErrorCode{Codes: retry.DefaultThrottleErrorCodes}
	for name, test := range map[string]struct {
		err      error
		status   int
		code     string
		throttle aws.Ternary // as the SDK sees it
	}{
		"down":      {localaws.ErrUnavailable, 503, "ServiceUnavailable", aws.UnknownTernary},
		"throttled": {localaws.ErrThrottled, 400, "RequestThrottled", aws.TrueTernary},
		"made up":   {errors.New("out of paper"), 500, "InternalFailure", aws.UnknownTernary},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, queue := localCalls(t)
			c.send(queue, "a")
			for hook, faults := range map[string]localaws.Faults{
				"FailReceive": {FailReceive: func() error { return test.err }},
				"Refuse": {Refuse: func(action string) error {
					if action == "ReceiveMessage" {
						return test.err
					}
					return nil
				}},
			} {
				c.server.SetFaults(faults)
				_, err := c.client.ReceiveMessage(c.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue}, once)
				response, isResponse := errors.AsType[*smithyhttp.ResponseError](err)
				typed, isTyped := errors.AsType[smithy.APIError](err)
				if !isResponse || !isTyped || response.HTTPStatusCode() != test.status || typed.ErrorCode() != test.code {
					c.Errorf("%s: %v", hook, err)
				}
				if got := throttles.IsErrorThrottle(err); got != test.throttle {
					c.Errorf("%s: throttled is %v for the SDK", hook, got)
				}
				c.wantHeld(queue, 1, 0) // other calls are answered, and nothing was received
			}
			c.server.SetFaults(localaws.Faults{})
			c.one(queue, 0)
		})
	}
}

// The SDK retries what the stand-in refuses, as it does with the real one.
func TestSDKRetriesRefusals(t *testing.T) {
	t.Parallel()
	c, queue := localCalls(t)
	var asked atomic.Int32
	c.server.SetFaults(localaws.Faults{Refuse: func(string) error {
		if asked.Add(1) == 1 {
			return localaws.ErrUnavailable
		}
		return nil
	}})
	c.send(queue, "a")
	if asked.Load() != 2 {
		c.Errorf("asked %d times", asked.Load())
	}
}

// TestDoneIsCalledBeforeTheAnswer: its function can check the effect while the caller still
// waits.
func TestDoneIsCalledBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	c, queue := localCalls(t)
	done, answer := make(chan string), make(chan struct{})
	c.server.SetFaults(localaws.Faults{Done: func(action string) {
		done <- action
		<-answer
	}})
	sent := make(chan error, 1)
	go func() {
		_, err := c.client.SendMessage(c.Context(), &sqs.SendMessageInput{QueueUrl: queue, MessageBody: aws.String("a")})
		sent <- err
	}()
	if action := <-done; action != "SendMessage" {
		c.Errorf("Done was called for %s", action)
	}
	if n := c.server.CreateQueue(nameOf(queue), nil).Depth().Total(); n != 1 {
		c.Errorf("%d messages while the answer is on its way", n)
	}
	select {
	case err := <-sent:
		c.Errorf("answered before: %v", err)
	default:
	}
	close(answer)
	c.ok(<-sent)
	c.server.SetFaults(localaws.Faults{Done: func(action string) { c.Errorf("Done was called for %s, which was refused", action) }})
	if _, err := c.client.SendMessage(c.Context(), &sqs.SendMessageInput{QueueUrl: queue, MessageBody: aws.String("\uFFFF")}, once); err == nil {
		c.Error("a body that is not allowed was taken")
	}
}
