package awscall

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// MaxBatch is how many messages fit into one call: the maximum of SQS.
const MaxBatch = 10

// QueueClient returns an SQS client for the queue with this URL. If the host is not the
// regional host of AWS (but a VPC endpoint or a stand-in) and no endpoint is set, calls
// go to the host of the URL.
func QueueClient(c aws.Config, queueURL string) (*sqs.Client, error) {
	u, err := url.Parse(queueURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("SQS_QUEUE_URL: not the URL of a queue; set it to a URL such as https://sqs.eu-west-1.amazonaws.com/123456789012/events")
	}
	region, regional := regionOf(u.Hostname())
	if regional && region != c.Region {
		return nil, fmt.Errorf("SQS_QUEUE_URL: the queue is in %s, but AWS_REGION is %s; set AWS_REGION=%s", region, c.Region, region)
	}
	return sqs.NewFromConfig(WithReadOnlyBody(c), func(o *sqs.Options) {
		// The SDK would drop a whole batch because of one damaged message, so Receive checks
		// each message instead.
		o.DisableMessageChecksumValidation = true
		if o.BaseEndpoint == nil && !regional {
			o.BaseEndpoint = aws.String(u.Scheme + "://" + u.Host)
		}
	}), nil
}

// regionOf returns the region in the host of an AWS queue, in each of the forms in use.
func regionOf(host string) (region string, ok bool) {
	labels := strings.Split(host, ".")
	switch {
	case len(labels) < 4 || labels[2] != "amazonaws":
		return "", false
	case labels[0] == "sqs" || labels[0] == "sqs-fips":
		return labels[1], true
	}
	return labels[0], labels[1] == "queue"
}

// SetVisibility hides messages from other receivers until d from now; 0 makes them
// visible. It takes at most MaxBatch receipts.
func SetVisibility(ctx context.Context, client *sqs.Client, queueURL string, receipts []string, d time.Duration) error {
	if len(receipts) == 0 {
		return nil
	}
	entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, len(receipts))
	for i, receipt := range receipts {
		entries[i] = types.ChangeMessageVisibilityBatchRequestEntry{
			Id: aws.String(strconv.Itoa(i)), ReceiptHandle: aws.String(receipt), VisibilityTimeout: int32(d.Seconds()),
		}
	}
	answer, err := client.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &queueURL, Entries: entries})
	if err != nil {
		return ExplainQueue("sqs:ChangeMessageVisibility on the queue", err)
	}
	if len(answer.Failed) > 0 {
		return errors.New("extend visibility: " + FailedEntries(answer.Failed))
	}
	return nil
}

// FailedEntries describes briefly which entries of a batch failed. SQS answers 200 even
// if parts of a batch fail.
func FailedEntries(failed []types.BatchResultErrorEntry) string {
	if len(failed) == 0 {
		return "some messages are missing in the answer"
	}
	return fmt.Sprintf("%d messages failed, one with %s", len(failed), aws.ToString(failed[0].Code))
}
