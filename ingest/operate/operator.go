package operate

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"statuscache/ingest/internal/awscall"
)

// Names of attributes of a queue.
const (
	attrARN       = string(sqstypes.QueueAttributeNameQueueArn)
	attrPolicy    = string(sqstypes.QueueAttributeNamePolicy)
	attrRedrive   = string(sqstypes.QueueAttributeNameRedrivePolicy)
	attrRetention = string(sqstypes.QueueAttributeNameMessageRetentionPeriod)
	attrKey       = string(sqstypes.QueueAttributeNameKmsMasterKeyId)
	attrVisible   = string(sqstypes.QueueAttributeNameApproximateNumberOfMessages)
	attrHidden    = string(sqstypes.QueueAttributeNameApproximateNumberOfMessagesNotVisible)
	attrDelayed   = string(sqstypes.QueueAttributeNameApproximateNumberOfMessagesDelayed)
)

// Operator sets up and checks the path of the events from Step Functions to the queue.
type Operator struct {
	config aws.Config
	queues *sqs.Client
	events *eventbridge.Client
	states *sfn.Client
}

// NewOperator returns an Operator for a region. queueURL may be empty; if its host is
// not the regional endpoint, calls to SQS go to it.
func NewOperator(c aws.Config, queueURL string) (*Operator, error) {
	c = awscall.WithReadOnlyBody(c)
	o := &Operator{config: c, queues: sqs.NewFromConfig(c), events: eventbridge.NewFromConfig(c), states: sfn.NewFromConfig(c)}
	if queueURL != "" {
		var err error
		if o.queues, err = awscall.QueueClient(c, queueURL); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// queue is a queue and its attributes.
type queue struct {
	url        string
	attributes map[string]string
}

func (q *queue) arn() string  { return q.attributes[attrARN] }
func (q *queue) name() string { return lastPart(q.arn()) }

// number returns a numeric attribute, 0 if it is not set.
func (q *queue) number(attribute string) int {
	n, _ := strconv.Atoi(q.attributes[attribute])
	return n
}

// messages counts all messages, including hidden ones.
func (q *queue) messages() int {
	return q.number(attrVisible) + q.number(attrHidden) + q.number(attrDelayed)
}

// deadLetterARN returns the ARN of the dead-letter queue, empty if there is none.
func (q *queue) deadLetterARN() string {
	var p struct {
		Target string         `json:"deadLetterTargetArn"`
		Count  jsontext.Value `json:"maxReceiveCount"`
	}
	_ = json.Unmarshal([]byte(q.attributes[attrRedrive]), &p) // none: no queue
	return p.Target
}

// queueAt reads the queue with a URL. If it does not exist, awscall.NotFound is true for
// the error.
func (o *Operator) queueAt(ctx context.Context, url string) (*queue, error) {
	answer, err := o.queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameAll},
	})
	if err != nil {
		return nil, awscall.WithPermission("sqs:GetQueueAttributes", err)
	}
	return &queue{url, answer.Attributes}, nil
}

// queueNamed reads the queue with a name.
func (o *Operator) queueNamed(ctx context.Context, name string) (*queue, error) {
	answer, err := o.queues.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	if err != nil {
		return nil, awscall.WithPermission("sqs:GetQueueUrl", err)
	}
	return o.queueAt(ctx, aws.ToString(answer.QueueUrl))
}

// lastPart returns the name at the end of an ARN or a URL.
func lastPart(arn string) string {
	return arn[strings.LastIndexAny(arn, ":/")+1:]
}

// errNoQueue is for commands that need a queue.
var errNoQueue = errors.New("SQS_QUEUE_URL: not set; set it to the URL of the queue that statusd reads")

// ours reads the queue with a URL, for commands that need it.
func (o *Operator) ours(ctx context.Context, url string) (*queue, error) {
	if url == "" {
		return nil, errNoQueue
	}
	q, err := o.queueAt(ctx, url)
	if awscall.NotFound(err) {
		return nil, fmt.Errorf("SQS_QUEUE_URL: %s: there is no such queue; statusctl provision creates one", url)
	}
	return q, err
}
