package localaws_test

import (
	"context"
	"fmt"
	"net/http/httptrace"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"statuscache/cache/cachetest"
)

// poll starts a long poll and returns after its request was written.
func (c *calls) poll(ctx context.Context, queue *string) (result <-chan []types.Message) {
	c.Helper()
	written := make(chan struct{})
	once := sync.OnceFunc(func() { close(written) })
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest: func(httptrace.WroteRequestInfo) { once() },
	})
	got := make(chan []types.Message, 1)
	go func() {
		defer once()
		defer close(got)
		out, err := c.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: queue, WaitTimeSeconds: 20})
		if err == nil {
			got <- out.Messages
		}
	}()
	<-written
	return got
}

func longPollWakes(c *calls) {
	queue := c.queue(nil)
	result := c.poll(c.Context(), queue)
	c.send(queue, "a")
	if got := <-result; len(got) != 1 {
		c.Errorf("received %d messages", len(got))
	}
}

func longPollEnds(c *calls) {
	queue := c.queue(nil)
	start := time.Now()
	if got := c.receive(queue, 1); len(got) != 0 {
		c.Errorf("received %v", got)
	}
	if took := time.Since(start); took < 900*time.Millisecond {
		c.Errorf("took only %v", took)
	}
}

func abandonedPoll(c *calls) {
	queue := c.queue(map[string]string{"VisibilityTimeout": "2"})
	ctx, giveUp := context.WithCancel(c.Context())
	result := c.poll(ctx, queue)
	c.awaitPolls(queue, 1)
	giveUp()
	if got := <-result; got != nil {
		c.Fatalf("received %v, then gave up", got)
	}
	c.awaitPolls(queue, 0)
	c.send(queue, "a")
	got := c.one(queue, 20)
	switch receives(got) {
	case "1":
	case "2": // the receive whose answer was lost counts
		if !c.abandonedPollTakes {
			c.Error("an abandoned poll took the message")
		}
	default:
		c.Errorf("received %s times", receives(got))
	}
}

// awaitPolls waits until the given number of long polls wait, if the implementation shows this,
// but less long than a long poll takes.
func (c *calls) awaitPolls(queue *string, n int) {
	c.Helper()
	if c.server == nil {
		return
	}
	q := c.server.CreateQueue(nameOf(queue), nil)
	cachetest.Eventually(c, fmt.Sprintf("%d polls wait", n), func() bool { return q.Waiting() == n })
}
