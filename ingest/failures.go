package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"statuscache/cache"
	"statuscache/ingest/internal/awscall"
)

// What the parts of ingest fail for.
const (
	causeQueue  = "queue"  // PartReceive, PartLag: it does not give
	causeGate   = "gate"   // PartStore: Redis takes no writes at all
	causeApply  = "apply"  // PartStore: it takes a write, and not what is merged
	causeDecode = "decode" // PartDecode
	causeDelete = "delete" // PartDelete: a delete fails
	causeHide   = "hide"   // PartDelete: messages in hand cannot be kept hidden
)

const (
	// untilForgotten is how long a failure counts when it is not seen again: no message
	// may be left to fail, or nothing is received because Redis is sick. Those that cannot
	// be read come again less often, and nothing is known to be well until another can.
	untilForgotten       = 90 * time.Second
	unreadUntilForgotten = 10 * time.Minute
	// leastUnread is how many messages that cannot be read are more than a stray one.
	leastUnread = 2

	lagEvery = 10 * time.Second // between two looks
	lagIdle  = 30 * time.Second // without a message before there is one: what SQS counts is a little behind
)

// queueReason explains an error of the queue.
func queueReason(err error) reason {
	if e, ok := errors.AsType[*awscall.Error](err); ok {
		return reason{e.Public(), err.Error(), err}
	}
	return reason{"the queue refuses", err.Error(), err}
}

// storeReason explains an error of the cache.
func storeReason(err error) reason {
	brief, text := cache.Explain(err)
	return reason{brief, text, err}
}

// notStored notes a message that the cache did not confirm.
func (c *Consumer) notStored(m Message, err error) {
	if c.logged.first("not stored " + m.ID) { // however often it comes
		c.stored.add(true, 1)
	}
	if shut, _ := c.gate.state(); !shut { // else it is the same, and told already
		c.outages.fails(PartStore, causeApply, c.outages.now(), untilForgotten, storeReason(err))
	}
}

// wereStored notes messages that the cache confirmed. A success here and there takes
// nothing back while most fail.
func (c *Consumer) wereStored(n int) {
	c.confirmed.Add(int64(n))
	if _, most := c.stored.add(false, n); n > 0 && !most {
		c.outages.works(PartStore, causeApply)
	}
}

// undecodable notes a message that will never make sense.
func (c *Consumer) undecodable(m Message, err error) {
	c.metrics.count(resultUndecodable, 1)
	if c.logged.first(m.ID) {
		c.decoded.add(true, 1)
		c.options.Log.Error("message left for the dead-letter queue", "message", m.ID, "error", err)
	}
	if run, _ := c.decoded.add(true, 0); run >= leastUnread {
		c.outages.fails(PartDecode, causeDecode, c.outages.now(), unreadUntilForgotten, reason{
			"they are not events of Step Functions as EventBridge sends them",
			err.Error() + "; see with statusctl dlq list what they are, and with statusctl doctor whether the rule's target changes them",
			err,
		})
	}
}

// wasDecoded notes a message that could be read.
func (c *Consumer) wasDecoded() {
	if _, most := c.decoded.add(false, 1); !most {
		c.outages.works(PartDecode, causeDecode)
	}
}

// damaged notes a message whose body is not the one that was sent. It is left to come
// again, perhaps whole.
func (c *Consumer) damaged(m Message) {
	c.metrics.damaged.Inc()
	c.metrics.count(resultRetried, 1)
	if c.logged.first("damaged " + m.ID) {
		c.options.Log.Error("message does not fit its MD5; left to come again", "message", m.ID)
	}
}

// notDeleted notes messages that are dealt with and stay in the queue.
func (c *Consumer) notDeleted(n int, err error) {
	c.metrics.deletesFailed.Add(float64(n))
	c.deleted.add(true, n)
	if err == nil {
		err = errors.New("the queue does not say why")
	}
	c.outages.fails(PartDelete, causeDelete, c.outages.now(), untilForgotten, queueReason(err))
}

// wereDeleted notes messages that are gone.
func (c *Consumer) wereDeleted(n int) {
	if _, most := c.deleted.add(false, n); n > 0 && !most {
		c.outages.works(PartDelete, causeDelete)
	}
}

// watchLag looks again and again until ctx ends whether messages wait that are not
// received.
func (c *Consumer) watchLag(ctx context.Context) {
	tick := time.NewTicker(lagEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.lookForLag(ctx)
		}
	}
}

// lookForLag asks the queue only while no message comes and nothing is known to fail.
func (c *Consumer) lookForLag(ctx context.Context) {
	idle := time.Since(time.Unix(0, c.arrived.Load()))
	if idle < lagIdle || c.outages.failing(PartReceive) || c.outages.failing(PartStore) {
		c.outages.works(PartLag, causeQueue)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, queueCallLimit)
	defer cancel()
	switch n, err := c.options.Queue.Waiting(ctx); {
	case err != nil: // what it says of receiving is told already
	case n == 0:
		c.outages.works(PartLag, causeQueue)
	default:
		c.outages.fails(PartLag, causeQueue, c.outages.now(), 0, reason{
			brief: "the queue does not give what it holds",
			text:  fmt.Sprintf("the queue says that %d messages can be received; compare with the metrics of the queue, and restart this process", n),
		})
	}
}
