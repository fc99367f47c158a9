package ingest

import (
	"cmp"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"statuscache/ingest/internal/awscall"
)

const (
	maxBatch = awscall.MaxBatch

	pollGrace = 5 * time.Second // how long after its wait a receive without an answer counts as failed
)

// queuePermissions are what a Consumer needs.
const queuePermissions = "sqs:ReceiveMessage, sqs:DeleteMessage, sqs:ChangeMessageVisibility and sqs:GetQueueAttributes on the queue"

// LoadAWS reads the settings of the AWS SDK from the environment and from its files. Its
// error is one line that names the fix.
func LoadAWS(ctx context.Context) (aws.Config, error) {
	// The SDK must not retry for minutes: the Consumer retries.
	c, err := config.LoadDefaultConfig(ctx, config.WithRetryMaxAttempts(2), config.WithLogger(logging.Nop{}))
	if err != nil {
		return c, fmt.Errorf("AWS settings: %s; check AWS_PROFILE, the other variables AWS_… and the files they name", awscall.OneLine(err.Error()))
	}
	if c.Region == "" {
		return c, errors.New("AWS_REGION: not set; set it to the region of the queue, such as eu-west-1")
	}
	return c, nil
}

// WithTracing makes a span for each call to AWS, except for polls of a queue, and passes
// the trace on. For nil it returns the settings unchanged.
func WithTracing(c aws.Config, p trace.TracerProvider) aws.Config {
	if p == nil {
		return c
	}
	return awscall.WithTracing(c, p)
}

// SQS is a Queue in Amazon SQS. It counts its requests by action.
type SQS struct {
	client *sqs.Client
	url    string
}

// NewSQS returns the queue with this URL. Calls go to the host of the URL if no endpoint is
// set and the host is not the regional host of AWS, but a VPC endpoint or a stand-in. metrics
// may be nil.
func NewSQS(c aws.Config, queueURL string, metrics prometheus.Registerer) (*SQS, error) {
	client, err := awscall.QueueClient(countRequests(c, metrics), queueURL)
	if err != nil {
		return nil, err
	}
	return &SQS{client: client, url: queueURL}, nil
}

// countRequests counts requests as AWS bills them: each attempt, by action.
func countRequests(c aws.Config, metrics prometheus.Registerer) aws.Config {
	if metrics == nil {
		return c
	}
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "statuscache", Name: "sqs_requests_total", Help: "Requests to SQS. Each attempt counts.",
	}, []string{"action"})
	metrics.MustRegister(requests)
	count := middleware.FinalizeMiddlewareFunc("CountRequests", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		requests.WithLabelValues(middleware.GetOperationName(ctx)).Inc()
		return next.HandleFinalize(ctx, in)
	})
	c.APIOptions = append(slices.Clone(c.APIOptions), func(stack *middleware.Stack) error {
		return stack.Finalize.Add(count, middleware.After) // after the retry middleware, so that each attempt counts
	})
	return c
}

// Check checks that the queue exists and that this process may use it. Its error is one
// line that names the fix.
func (q *SQS) Check(ctx context.Context) error {
	_, err := q.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &q.url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameApproximateNumberOfMessages},
	})
	if err == nil {
		return nil
	}
	return fmt.Errorf("SQS_QUEUE_URL: %s: %w", q.url, awscall.ExplainQueue(queuePermissions, err))
}

// Receive implements Queue.
func (q *SQS) Receive(ctx context.Context, wait time.Duration) ([]Message, error) {
	ctx, cancel := context.WithTimeout(ctx, wait+pollGrace)
	defer cancel()
	answer, err := q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &q.url, MaxNumberOfMessages: maxBatch,
		WaitTimeSeconds: int32(wait.Seconds()), VisibilityTimeout: int32(Visibility.Seconds()),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameApproximateReceiveCount, types.MessageSystemAttributeNameSentTimestamp, types.MessageSystemAttributeNameAWSTraceHeader},
		MessageAttributeNames:       []string{traceHeader},
	})
	if err != nil {
		return nil, awscall.ExplainQueue(queuePermissions, err)
	}
	messages := make([]Message, len(answer.Messages))
	for i, m := range answer.Messages {
		messages[i] = Message{
			ID: aws.ToString(m.MessageId), Receipt: aws.ToString(m.ReceiptHandle), Body: aws.ToString(m.Body), Damaged: damaged(m),
		}
		messages[i].Receives, _ = strconv.Atoi(m.Attributes[receiveCount])
		if ms, err := strconv.ParseInt(m.Attributes[sentTimestamp], 10, 64); err == nil {
			messages[i].Sent = time.UnixMilli(ms)
		}
		messages[i].Trace = cmp.Or(m.Attributes[traceHeader], aws.ToString(m.MessageAttributes[traceHeader].StringValue))
	}
	return messages, nil
}

const (
	receiveCount  = string(types.MessageSystemAttributeNameApproximateReceiveCount)
	sentTimestamp = string(types.MessageSystemAttributeNameSentTimestamp)
	// traceHeader is a system attribute if AWS passes the trace on. It is a normal attribute if
	// another program between the bus and the queue does.
	traceHeader = string(types.MessageSystemAttributeNameAWSTraceHeader)
)

// damaged reports whether the body does not match its checksum. Some stand-ins for SQS
// send no checksum.
func damaged(m types.Message) bool {
	sum := md5.Sum([]byte(aws.ToString(m.Body))) // the protocol uses MD5; it protects only against accidents
	return m.MD5OfBody != nil && !strings.EqualFold(*m.MD5OfBody, hex.EncodeToString(sum[:]))
}

// Waiting implements Queue.
func (q *SQS) Waiting(ctx context.Context) (int, error) {
	const name = types.QueueAttributeNameApproximateNumberOfMessages
	answer, err := q.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &q.url, AttributeNames: []types.QueueAttributeName{name},
	})
	if err != nil {
		return 0, awscall.ExplainQueue("sqs:GetQueueAttributes on the queue", err)
	}
	n, err := strconv.Atoi(answer.Attributes[string(name)])
	if err != nil {
		return 0, errors.New("SQS did not return the number of messages")
	}
	return n, nil
}

// Delete implements Queue. SQS answers 200 even if parts of a batch fail.
func (q *SQS) Delete(ctx context.Context, batch []Message) (left []Message, err error) {
	entries := make([]types.DeleteMessageBatchRequestEntry, len(batch))
	for i, m := range batch {
		entries[i] = types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: aws.String(m.Receipt)}
	}
	answer, err := q.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &q.url, Entries: entries})
	if err != nil {
		return batch, awscall.ExplainQueue("sqs:DeleteMessage on the queue", err)
	}
	gone := make([]bool, len(batch))
	for _, s := range answer.Successful {
		if i, err := strconv.Atoi(aws.ToString(s.Id)); err == nil && i >= 0 && i < len(batch) {
			gone[i] = true
		}
	}
	for i, m := range batch {
		if !gone[i] {
			left = append(left, m)
		}
	}
	if len(left) > 0 {
		err = errors.New("delete: " + awscall.FailedEntries(answer.Failed))
	}
	return left, err
}

// ExtendVisibility implements Queue.
func (q *SQS) ExtendVisibility(ctx context.Context, batch []Message, d time.Duration) error {
	receipts := make([]string, len(batch))
	for i, m := range batch {
		receipts[i] = m.Receipt
	}
	return awscall.SetVisibility(ctx, q.client, q.url, receipts, d)
}
