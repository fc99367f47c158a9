package operate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"statuscache/ingest/event"
	"statuscache/ingest/internal/awscall"
)

// The two kinds of dead letters.
const (
	OfConsumer = "consumer" // received too often, moved by the queue
	OfRule     = "rule"     // EventBridge could not send them
)

const (
	peekVisibility = time.Minute // how long Peek hides messages from other receivers
	peekPoll       = time.Second // a long poll asks all servers of SQS
	giveBackLimit  = 5 * time.Second
)

// DeadLetters is one dead-letter queue.
type DeadLetters struct {
	Kind     string // OfConsumer or OfRule
	Name     string
	Messages int // about how many
	dead     *queue
	source   *queue // queue that the messages belong to
}

// DeadLetter is the public part of a message, without its payload.
type DeadLetter struct {
	ID        string    `json:"id"`
	FirstSent time.Time `json:"firstSent"`
	Receives  int       `json:"receives"` // including this receive
	Execution string    `json:"executionArn,omitempty"`
	Why       string    `json:"why"`
}

// DeadLetterQueues finds the dead-letter queues of a path, each only once: the one of the
// queue, and those of the rules that send to the queue.
func (o *Operator) DeadLetterQueues(ctx context.Context, w EventPath) ([]DeadLetters, error) {
	source, err := o.ours(ctx, w.QueueURL)
	if err != nil {
		return nil, err
	}
	var all []DeadLetters
	add := func(kind, arn string) error {
		if arn == "" || slices.ContainsFunc(all, func(d DeadLetters) bool { return d.dead.arn() == arn }) {
			return nil
		}
		dead, err := o.queueNamed(ctx, lastPart(arn))
		if err != nil {
			return fmt.Errorf("dead-letter queue %s: %w", lastPart(arn), err)
		}
		all = append(all, DeadLetters{kind, dead.name(), dead.messages(), dead, source})
		return nil
	}
	if err := add(OfConsumer, source.deadLetterARN()); err != nil {
		return nil, err
	}
	routes, err := o.routesOf(ctx, w, source)
	if err != nil && !awscall.NotFound(err) {
		return nil, err
	}
	for _, r := range routes {
		if err := add(OfRule, r.deadLetterARN()); err != nil {
			return nil, err
		}
	}
	if len(all) == 0 {
		return nil, errors.New("neither the queue nor a rule has a dead-letter queue; statusctl provision creates both")
	}
	return all, nil
}

// Peek returns at most max messages and makes them visible again. It counts as a receive.
func (o *Operator) Peek(ctx context.Context, d DeadLetters, most int) ([]DeadLetter, error) {
	var seen []types.Message
	var err error
	for len(seen) < most && err == nil {
		var batch []types.Message
		batch, err = o.receive(ctx, d.dead, min(awscall.MaxBatch, most-len(seen)))
		if len(batch) == 0 {
			break
		}
		seen = append(seen, batch...)
	}
	letters := make([]DeadLetter, len(seen))
	for i, m := range seen {
		letters[i] = letterOf(d.Kind, m)
	}
	return letters, errors.Join(err, o.giveBack(ctx, d.dead, seen))
}

func (o *Operator) receive(ctx context.Context, q *queue, most int) ([]types.Message, error) {
	answer, err := o.queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &q.url, MaxNumberOfMessages: int32(most), MessageAttributeNames: []string{"All"},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{
			types.MessageSystemAttributeNameSentTimestamp, types.MessageSystemAttributeNameApproximateReceiveCount,
		},
		VisibilityTimeout: int32(peekVisibility.Seconds()), WaitTimeSeconds: int32(peekPoll.Seconds()),
	})
	if err != nil {
		return nil, awscall.WithPermission("sqs:ReceiveMessage", err)
	}
	return answer.Messages, nil
}

// giveBack makes messages visible again, even if ctx has ended. If it fails, they become
// visible after the visibility timeout.
func (o *Operator) giveBack(ctx context.Context, q *queue, messages []types.Message) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBackLimit)
	defer cancel()
	var all []error
	for batch := range slices.Chunk(messages, awscall.MaxBatch) {
		receipts := make([]string, len(batch))
		for i, m := range batch {
			receipts[i] = aws.ToString(m.ReceiptHandle)
		}
		if err := awscall.SetVisibility(ctx, o.queues, q.url, receipts, 0); err != nil {
			all = append(all, awscall.WithPermission("sqs:ChangeMessageVisibility", err))
		}
	}
	return errors.Join(all...)
}

// letterOf describes a message and why it is there.
func letterOf(kind string, m types.Message) DeadLetter {
	l := DeadLetter{ID: aws.ToString(m.MessageId), Why: "can be decoded now"}
	sent, _ := strconv.ParseInt(m.Attributes["SentTimestamp"], 10, 64)
	l.FirstSent = time.UnixMilli(sent).UTC()
	l.Receives, _ = strconv.Atoi(m.Attributes["ApproximateReceiveCount"])
	var d event.Decoder
	events, err := d.DecodeAll([]byte(aws.ToString(m.Body)))
	if len(events) > 0 {
		l.Execution = string(events[0].ARN)
	}
	if err != nil {
		l.Why = err.Error()
	}
	if kind == OfRule {
		l.Why = ruleWhy(m, l.Why)
	}
	return l
}

// ruleWhy returns why EventBridge could not send an event.
func ruleWhy(m types.Message, otherwise string) string {
	var parts []string
	for _, name := range []string{"ERROR_CODE", "RULE_ARN"} {
		if a, ok := m.MessageAttributes[name]; ok {
			parts = append(parts, awscall.Line(aws.ToString(a.StringValue)))
		}
	}
	if len(parts) == 0 {
		return otherwise
	}
	return strings.Join(parts, " ")
}

// Redrive moves all messages back into their queue. It reports how many have been moved,
// and the approximate total.
func (o *Operator) Redrive(ctx context.Context, d DeadLetters, every time.Duration, report func(done, total int)) error {
	if d.Kind == OfRule {
		return o.resend(ctx, d, report)
	}
	_, err := o.queues.StartMessageMoveTask(ctx, &sqs.StartMessageMoveTaskInput{
		SourceArn: aws.String(d.dead.arn()), DestinationArn: aws.String(d.source.arn()),
	})
	if err != nil {
		return awscall.WithPermission("sqs:StartMessageMoveTask", err)
	}
	task, err := follow(ctx, every, func() (types.ListMessageMoveTasksResultEntry, bool, error) {
		answer, err := o.queues.ListMessageMoveTasks(ctx, &sqs.ListMessageMoveTasksInput{SourceArn: aws.String(d.dead.arn())})
		if err != nil || len(answer.Results) == 0 {
			return types.ListMessageMoveTasksResultEntry{}, false, awscall.WithPermission("sqs:ListMessageMoveTasks", err)
		}
		task := answer.Results[0] // the newest task is ours, because a queue has only one at a time
		report(int(task.ApproximateNumberOfMessagesMoved), max(d.Messages, int(aws.ToInt64(task.ApproximateNumberOfMessagesToMove))))
		status := aws.ToString(task.Status)
		return task, status != "RUNNING" && status != "CANCELLING", nil
	})
	if status := aws.ToString(task.Status); err == nil && status != "COMPLETED" {
		err = fmt.Errorf("the move of the messages ended as %s: %s", status, awscall.OneLine(aws.ToString(task.FailureReason)))
	}
	return err
}

// resend moves messages one by one, because SQS only moves messages that came from another
// queue. A message is deleted after it was sent. Until then it is in both queues, which is
// safe.
func (o *Operator) resend(ctx context.Context, d DeadLetters, report func(done, total int)) error {
	for done := 0; ; {
		batch, err := o.receive(ctx, d.dead, awscall.MaxBatch)
		if err != nil || len(batch) == 0 {
			return err
		}
		moved, err := o.resendBatch(ctx, d, batch)
		done += moved
		report(done, max(d.Messages, done))
		if err != nil {
			return err
		}
	}
}

func (o *Operator) resendBatch(ctx context.Context, d DeadLetters, batch []types.Message) (moved int, err error) {
	for i, m := range batch {
		_, err := o.queues.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &d.source.url, MessageBody: m.Body})
		if err != nil {
			return moved, errors.Join(awscall.WithPermission("sqs:SendMessage", err), o.giveBack(ctx, d.dead, batch[i:]))
		}
		_, err = o.queues.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &d.dead.url, ReceiptHandle: m.ReceiptHandle})
		if err != nil {
			return moved, errors.Join(awscall.WithPermission("sqs:DeleteMessage", err), o.giveBack(ctx, d.dead, batch[i:]))
		}
		moved++
	}
	return moved, nil
}

// Purge deletes every message of a dead-letter queue.
func (o *Operator) Purge(ctx context.Context, d DeadLetters) error {
	_, err := o.queues.PurgeQueue(ctx, &sqs.PurgeQueueInput{QueueUrl: &d.dead.url})
	var api smithy.APIError
	if errors.As(err, &api) && strings.Contains(api.ErrorCode(), "PurgeQueueInProgress") {
		return fmt.Errorf("%s was purged less than a minute ago; try again later", d.Name)
	}
	return awscall.WithPermission("sqs:PurgeQueue", err)
}
