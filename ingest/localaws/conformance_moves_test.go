package localaws_test

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"statuscache/cache/cachetest"
	"statuscache/ingest/sqstest"
)

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

// move moves what is in a queue and waits until that is done.
func (c *calls) move(from, to *string) types.ListMessageMoveTasksResultEntry {
	c.Helper()
	in := &sqs.StartMessageMoveTaskInput{SourceArn: c.arn(from)}
	if to != nil {
		in.DestinationArn = c.arn(to)
	}
	_, err := c.client.StartMessageMoveTask(c.Context(), in)
	c.ok(err)
	var task types.ListMessageMoveTasksResultEntry
	cachetest.Eventually(c, 20*time.Second, "the task has ended", func() bool {
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
	sources, err := c.client.ListDeadLetterSourceQueues(c.Context(), &sqs.ListDeadLetterSourceQueuesInput{QueueUrl: deadLetters})
	c.ok(err)
	if len(sources.QueueUrls) != 1 || sources.QueueUrls[0] != *source {
		c.Errorf("sources: %v", sources.QueueUrls)
	}
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
