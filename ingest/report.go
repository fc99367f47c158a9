package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"statuscache/cache/intake"
	"statuscache/ingest/internal/awscall"
)

// Intake has the reports of a process that receives events about its work. It implements
// intake.Source.
type Intake struct {
	Queue    *SQS
	Consumer *Consumer
	Auditor  *Auditor
}

// Ages implements intake.Source.
func (i *Intake) Ages() *intake.Ages {
	p50, p99, most, ok := i.Consumer.EventAges()
	if !ok {
		return nil
	}
	return &intake.Ages{P50: p50, P99: p99, Max: most}
}

// Repairs implements intake.Source.
func (i *Intake) Repairs() map[string]int64 { return i.Auditor.Repairs() }

// Measure implements intake.Source.
func (i *Intake) Measure(ctx context.Context) (*intake.Queue, error) {
	ctx, cancel := context.WithTimeout(ctx, queueCallLimit)
	defer cancel()
	waiting, deadLetters, err := i.Queue.depths(ctx)
	if err != nil {
		return nil, err
	}
	return &intake.Queue{Depth: waiting, DeadLetters: deadLetters, Oldest: i.Consumer.oldest(waiting)}, nil
}

// oldest returns approximately how long the oldest message in the queue has waited, nil if
// that is not known. SQS does not report it. SQS delivers roughly in the order of sending,
// so remaining messages were sent after the last received ones, and after the queue was
// last empty.
func (c *Consumer) oldest(waiting int64) *time.Duration {
	age := time.Duration(0)
	if waiting > 0 {
		reached := c.reached.Load()
		if reached == 0 {
			return nil
		}
		age = max(0, time.Since(time.UnixMilli(reached)))
	}
	return &age
}

// reach stores how far the queue has been read: up to the newest of the messages, or, if
// there are none, up to the end of the receive.
func (c *Consumer) reach(messages []Message) {
	reached := time.Now()
	for i, m := range messages {
		if m.Sent.IsZero() {
			return
		}
		if i == 0 || m.Sent.After(reached) {
			reached = m.Sent
		}
	}
	for old := c.reached.Load(); reached.UnixMilli() > old; old = c.reached.Load() {
		if c.reached.CompareAndSwap(old, reached.UnixMilli()) {
			return
		}
	}
}

// depths returns how many messages can be received from the queue, and how many are in its
// dead-letter queue. The latter is nil if there is none, or if its attributes may not be read.
func (q *SQS) depths(ctx context.Context) (waiting int64, deadLetters *int64, err error) {
	attributes, err := q.attributes(ctx, q.url, types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameRedrivePolicy)
	if err != nil {
		return 0, nil, err
	}
	if waiting, err = visibleMessages(attributes); err != nil {
		return 0, nil, err
	}
	url := deadLetterURL(q.url, attributes[string(types.QueueAttributeNameRedrivePolicy)])
	if url == "" {
		return waiting, nil, nil
	}
	attributes, err = q.attributes(ctx, url, types.QueueAttributeNameApproximateNumberOfMessages)
	if err != nil {
		return waiting, nil, nil //nolint:nilerr // the permission to read it is optional
	}
	n, err := visibleMessages(attributes)
	return waiting, &n, err
}

func (q *SQS) attributes(ctx context.Context, url string, names ...types.QueueAttributeName) (map[string]string, error) {
	answer, err := q.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: aws.String(url), AttributeNames: names})
	if err != nil {
		return nil, fmt.Errorf("read the attributes of a queue: %w", awscall.ExplainQueue("sqs:GetQueueAttributes", err))
	}
	return answer.Attributes, nil
}

func visibleMessages(attributes map[string]string) (int64, error) {
	n, err := strconv.ParseInt(attributes[string(types.QueueAttributeNameApproximateNumberOfMessages)], 10, 64)
	if err != nil {
		return 0, errors.New("SQS did not return the number of messages")
	}
	return n, nil
}

// deadLetterURL returns the URL of the dead-letter queue of a queue, which SQS keeps in the
// same account and region; empty if the queue has none.
func deadLetterURL(queueURL, redrivePolicy string) string {
	var policy struct {
		Target string `json:"deadLetterTargetArn"`
	}
	if json.Unmarshal([]byte(redrivePolicy), &policy) != nil || policy.Target == "" {
		return ""
	}
	queue := strings.TrimSuffix(queueURL, "/")
	return queue[:strings.LastIndexByte(queue, '/')+1] + policy.Target[strings.LastIndexByte(policy.Target, ':')+1:]
}
