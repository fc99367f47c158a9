package localaws_test

import (
	"maps"
	"strconv"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"statuscache/cache/cachetest"
	"statuscache/ingest/localaws"
	"statuscache/ingest/sqstest"
)

// implementation is a server that is compared with the behaviours below. The flags say where it
// is known to differ from SQS; everything else must be the same.
type implementation struct {
	endpoint string
	server   *localaws.Server // nil: not the stand-in

	// takesAnyReceipt: an invalid receipt handle is no error.
	takesAnyReceipt bool
	// abandonedPollTakes: a long poll whose caller has gone still takes the next
	// message, which then stays hidden until its visibility time-out.
	abandonedPollTakes bool
	// refusesEmoji: characters that take two units of UTF-16 are not allowed.
	refusesEmoji bool
	// prefixesCodes: the older code of every error has the prefix that only some have at SQS.
	prefixesCodes bool
}

// TestConformance runs the SDK against the stand-in and against an independent SQS, so that the
// expectations are not only those of this project.
func TestConformance(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T) implementation{
		"localaws": func(t *testing.T) implementation {
			endpoint, server := sqstest.Local(t)
			return implementation{endpoint: endpoint, server: server}
		},
		"fauxqs": func(t *testing.T) implementation {
			return implementation{
				endpoint: sqstest.Fauxqs(t), takesAnyReceipt: true, abandonedPollTakes: true,
				refusesEmoji: true, prefixesCodes: true,
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			impl := start(t)
			client := sqstest.Client(t, impl.endpoint)
			for name, behaviour := range behaviours {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					behaviour(&calls{T: t, client: client, implementation: impl})
				})
			}
		})
	}
}

var behaviours = map[string]func(*calls){
	"a message is sent, received and deleted":            sendReceiveDelete,
	"a batch is sent, received and deleted":              batches,
	"system attributes are given when requested":         systemAttributes,
	"message attributes arrive as they were sent":        messageAttributes,
	"a long poll ends with the first message":            longPollWakes,
	"a long poll without a message ends empty":           longPollEnds,
	"an abandoned long poll":                             abandonedPoll,
	"a message comes back after its visibility time-out": visibilityTimeOut,
	"an extended message stays hidden longer":            extension,
	"a message given back is there at once":              giveBack,
	"a batch is given back":                              giveBackBatch,
	"a stale receipt deletes nothing":                    staleReceipt,
	"a garbage receipt":                                  garbageReceipt,
	"a message moves to the dead letters":                redrive,
	"a delayed message comes later":                      delayed,
	"a queue is made, found, listed and changed":         queueLife,
	"a purged queue is empty":                            purge,
	"a deleted queue is gone":                            deleteQueue,
	"the longest message":                                longest,
	"errors have the types of the SDK":                   typedErrors,
	"a batch fails in part":                              partOfBatch,
}

// calls are the calls of the SDK without the parameters and results that the tests do not need.
type calls struct {
	*testing.T
	implementation
	client *sqs.Client
}

func (c *calls) ok(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

func (c *calls) queue(attributes map[string]string) *string {
	c.Helper()
	return aws.String(sqstest.NewQueue(c, c.client, attributes))
}

func (c *calls) send(queue *string, body string) *sqs.SendMessageOutput {
	c.Helper()
	out, err := c.client.SendMessage(c.Context(), &sqs.SendMessageInput{QueueUrl: queue, MessageBody: &body})
	c.ok(err)
	return out
}

// receive waits for messages for a number of seconds.
func (c *calls) receive(queue *string, wait int32) []types.Message {
	c.Helper()
	out, err := c.client.ReceiveMessage(c.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: queue, MaxNumberOfMessages: 10, WaitTimeSeconds: wait,
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	})
	c.ok(err)
	return out.Messages
}

// one receives exactly one message, with long polls of the given number of seconds.
func (c *calls) one(queue *string, wait int32) types.Message {
	c.Helper()
	var got []types.Message
	cachetest.Eventually(c, "a message comes", func() bool {
		got = c.receive(queue, wait)
		return len(got) > 0
	})
	if len(got) != 1 {
		c.Fatalf("received %d messages, want 1", len(got))
	}
	return got[0]
}

func (c *calls) remove(queue, receipt *string) {
	c.Helper()
	_, err := c.client.DeleteMessage(c.Context(), &sqs.DeleteMessageInput{QueueUrl: queue, ReceiptHandle: receipt})
	c.ok(err)
}

// hide sets for how many seconds a message stays hidden.
func (c *calls) hide(queue, receipt *string, seconds int32) {
	c.Helper()
	_, err := c.client.ChangeMessageVisibility(c.Context(), &sqs.ChangeMessageVisibilityInput{
		QueueUrl: queue, ReceiptHandle: receipt, VisibilityTimeout: seconds,
	})
	c.ok(err)
}

// attributes returns some attributes of a queue, such as ApproximateNumberOfMessages.
func (c *calls) attributes(queue *string, names ...types.QueueAttributeName) map[string]string {
	c.Helper()
	out, err := c.client.GetQueueAttributes(c.Context(), &sqs.GetQueueAttributesInput{QueueUrl: queue, AttributeNames: names})
	c.ok(err)
	return out.Attributes
}

// wantHeld fails unless the queue has the given numbers of messages, visible and in flight.
func (c *calls) wantHeld(queue *string, visible, inFlight int) {
	c.Helper()
	got := c.attributes(queue, "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
	want := map[string]string{
		"ApproximateNumberOfMessages":           strconv.Itoa(visible),
		"ApproximateNumberOfMessagesNotVisible": strconv.Itoa(inFlight),
	}
	if !maps.Equal(got, want) {
		c.Errorf("the queue holds %v, want %v", got, want)
	}
}

func receives(m types.Message) string { return m.Attributes["ApproximateReceiveCount"] }
