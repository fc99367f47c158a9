package localaws_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"statuscache/cache/cachetest"
	"statuscache/ingest/awstest"
	"statuscache/ingest/sqstest"
)

func TestMoves(t *testing.T) {
	t.Parallel()
	for name, behaviour := range map[string]func(*calls){
		"back": moveBack, "elsewhere": moveElsewhere, "cancelled": cancelMove, "from nowhere": moveFromNowhere,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := localCalls(t)
			behaviour(c)
		})
	}
}

func deleteQueue(c *calls) {
	queue := c.queue(nil)
	_, err := c.client.DeleteQueue(c.Context(), &sqs.DeleteQueueInput{QueueUrl: queue})
	c.ok(err)
	_, err = c.client.SendMessage(c.Context(), &sqs.SendMessageInput{QueueUrl: queue, MessageBody: aws.String("a")})
	if !is[*types.QueueDoesNotExist](err) {
		c.Errorf("sent to it: %v", err)
	}
}

// dead makes a message a dead letter and returns both queues.
func (c *calls) dead(body string) (source, deadLetters *string) {
	c.Helper()
	s, d := sqstest.NewQueueWithDeadLetters(c, c.client, 1, nil)
	source, deadLetters = &s, &d
	c.send(source, body)
	c.hide(source, c.one(source, 10).ReceiptHandle, 0)
	if got := c.receive(source, 0); len(got) != 0 {
		c.Fatalf("received again: %+v", got)
	}
	c.wantHeld(deadLetters, 1, 0)
	return source, deadLetters
}

// move moves the messages of a queue and waits until this is done.
func (c *calls) move(from, to *string) types.ListMessageMoveTasksResultEntry {
	c.Helper()
	in := &sqs.StartMessageMoveTaskInput{SourceArn: c.arn(from)}
	if to != nil {
		in.DestinationArn = c.arn(to)
	}
	_, err := c.client.StartMessageMoveTask(c.Context(), in)
	c.ok(err)
	var task types.ListMessageMoveTasksResultEntry
	cachetest.Eventually(c, "the task has ended", func() bool {
		tasks, err := c.client.ListMessageMoveTasks(c.Context(), &sqs.ListMessageMoveTasksInput{SourceArn: in.SourceArn})
		c.ok(err)
		if len(tasks.Results) != 1 {
			c.Fatalf("%d tasks", len(tasks.Results))
		}
		task = tasks.Results[0]
		return aws.ToString(task.Status) != "RUNNING"
	})
	return task
}

func (c *calls) arn(queue *string) *string {
	c.Helper()
	return aws.String(c.attributes(queue, types.QueueAttributeNameQueueArn)["QueueArn"])
}

func moveBack(c *calls) {
	source, deadLetters := c.dead("a")
	task := c.move(deadLetters, nil)
	if aws.ToString(task.Status) != "COMPLETED" || task.ApproximateNumberOfMessagesMoved != 1 {
		c.Errorf("task: %+v", task)
	}
	c.wantHeld(deadLetters, 0, 0)
	if got := c.one(source, 10); *got.Body != "a" {
		c.Errorf("received %+v", got)
	}
}

func moveElsewhere(c *calls) {
	source, deadLetters := c.dead("a")
	elsewhere := c.queue(nil)
	c.move(deadLetters, elsewhere)
	c.wantHeld(source, 0, 0)
	c.wantHeld(elsewhere, 1, 0)
}

func cancelMove(c *calls) {
	_, deadLetters := c.dead("a")
	for range 100 { // at one per second they last long enough
		c.send(deadLetters, "b")
	}
	started, err := c.client.StartMessageMoveTask(c.Context(), &sqs.StartMessageMoveTaskInput{
		SourceArn: c.arn(deadLetters), DestinationArn: c.arn(c.queue(nil)), MaxNumberOfMessagesPerSecond: aws.Int32(1),
	})
	c.ok(err)
	_, err = c.client.StartMessageMoveTask(c.Context(), &sqs.StartMessageMoveTaskInput{SourceArn: c.arn(deadLetters)})
	if !is[*types.UnsupportedOperation](err) {
		c.Errorf("started twice: %v", err)
	}
	_, err = c.client.CancelMessageMoveTask(c.Context(), &sqs.CancelMessageMoveTaskInput{TaskHandle: started.TaskHandle})
	c.ok(err)
	cachetest.Eventually(c, "the task is cancelled", func() bool {
		tasks, err := c.client.ListMessageMoveTasks(c.Context(), &sqs.ListMessageMoveTasksInput{SourceArn: c.arn(deadLetters)})
		c.ok(err)
		return aws.ToString(tasks.Results[0].Status) == "CANCELLED" && aws.ToInt32(tasks.Results[0].MaxNumberOfMessagesPerSecond) == 1
	})
	if held := c.attributes(deadLetters, "ApproximateNumberOfMessages")["ApproximateNumberOfMessages"]; held == "0" {
		c.Error("everything was moved all the same")
	}
}

// A message that was sent to the dead-letter queue came from no queue.
func moveFromNowhere(c *calls) {
	_, deadLetters := sqstest.NewQueueWithDeadLetters(c, c.client, 1, nil)
	c.send(&deadLetters, "a")
	if task := c.move(&deadLetters, nil); aws.ToString(task.Status) != "FAILED" || aws.ToString(task.FailureReason) == "" {
		c.Errorf("task: %+v", task)
	}
	c.wantHeld(&deadLetters, 1, 0)
}

// TestConformanceOfDeadLetterSources compares with another server than fauxqs, because fauxqs
// does not list the sources.
func TestConformanceOfDeadLetterSources(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, endpoint string) {
		c := &calls{T: t, client: sqstest.Client(t, endpoint)}
		source, deadLetters := sqstest.NewQueueWithDeadLetters(t, c.client, 1, nil)
		out, err := c.client.ListDeadLetterSourceQueues(t.Context(), &sqs.ListDeadLetterSourceQueuesInput{QueueUrl: &deadLetters})
		c.ok(err)
		if len(out.QueueUrls) != 1 || out.QueueUrls[0] != source {
			t.Errorf("sources: %v", out.QueueUrls)
		}
	})
}

// onBoth runs a test against the stand-in and against moto.
func onBoth(t *testing.T, test func(t *testing.T, endpoint string)) {
	t.Helper()
	t.Run("localaws", func(t *testing.T) {
		t.Parallel()
		endpoint, _ := sqstest.Local(t)
		test(t, endpoint)
	})
	t.Run("moto", func(t *testing.T) {
		t.Parallel()
		test(t, awstest.Moto(t))
	})
}
