package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"statuscache/cache"
	"statuscache/ingest/internal/awscall"
)

// Causes for which a part of ingest fails.
const (
	causeQueue  = "queue"  // PartReceive, PartLag: the queue returns no messages
	causeGate   = "gate"   // PartStore: Redis accepts no writes at all
	causeApply  = "apply"  // PartStore: Redis accepts writes, but not these observations
	causeDecode = "decode" // PartDecode
	causeDelete = "delete" // PartDelete: a delete fails
	causeHide   = "hide"   // PartDelete: messages in flight cannot be kept hidden
)

const (
	// untilForgotten is how long a failure counts after it was last seen. It ends after some
	// time, because perhaps no message is left that could succeed. Undecodable messages are
	// received again less often, and only a decodable message ends the failure earlier.
	untilForgotten       = 90 * time.Second
	unreadUntilForgotten = 10 * time.Minute
	// leastUnread is how many undecodable messages in a row count as a failure of the part.
	leastUnread = 2

	lagEvery = 10 * time.Second // between two checks
	lagQuiet = time.Minute      // between two requests for the depth of an empty queue
	lagIdle  = 30 * time.Second // time without a message before a lag is possible: the counts of SQS are a little late
)

// queueReason explains an error of the queue.
func queueReason(err error) reason {
	if e, ok := errors.AsType[*awscall.Error](err); ok {
		return reason{e.Public(), err.Error(), err}
	}
	return reason{"SQS returned an error", err.Error(), err}
}

// storeReason explains an error of the cache.
func storeReason(err error) reason {
	brief, text := cache.Explain(err)
	return reason{brief, text, err}
}

// notStored notes a message that the cache did not confirm.
func (c *Consumer) notStored(m Message, err error) {
	if c.logged.first("not stored " + m.ID) { // once, however often the message comes
		c.stored.add(true, 1)
	}
	if shut, _ := c.gate.state(); !shut { // else the gate has already reported it
		c.outages.fails(PartStore, causeApply, c.outages.now(), untilForgotten, storeReason(err))
	}
}

// wereStored notes messages that the cache confirmed. While most messages fail, a few
// successes do not end an outage.
func (c *Consumer) wereStored(n int) {
	c.confirmed.Add(int64(n))
	if _, most := c.stored.add(false, n); n > 0 && !most {
		c.outages.works(PartStore, causeApply)
	}
}

// undecodable notes a message that cannot be decoded, now or later.
func (c *Consumer) undecodable(ctx context.Context, m Message, err error) {
	if c.logged.first(m.ID) {
		c.decoded.add(true, 1)
		c.options.Log.ErrorContext(ctx, "a message cannot be decoded; SQS will move it to the dead-letter queue", "message", m.ID, "error", err)
	}
	if run, _ := c.decoded.add(true, 0); run >= leastUnread {
		c.outages.fails(PartDecode, causeDecode, c.outages.now(), unreadUntilForgotten, reason{
			"the messages are not EventBridge events of Step Functions",
			err.Error() + "; run statusctl dlq list to see what they are, and statusctl doctor to check whether the rule's target changes them",
			err,
		})
	}
}

// wasDecoded notes a message that was decoded.
func (c *Consumer) wasDecoded() {
	if _, most := c.decoded.add(false, 1); !most {
		c.outages.works(PartDecode, causeDecode)
	}
}

// damaged notes a message whose body does not match its checksum. It stays in the queue
// and is received again, perhaps undamaged.
func (c *Consumer) damaged(ctx context.Context, m Message) {
	c.metrics.damaged.Inc()
	if c.logged.first("damaged " + m.ID) {
		c.options.Log.ErrorContext(ctx, "the body of a message does not match its MD5; it will be received again", "message", m.ID)
	}
}

// notDeleted notes handled messages that could not be deleted.
func (c *Consumer) notDeleted(n int, err error) {
	c.metrics.deletesFailed.Add(float64(n))
	c.deleted.add(true, n)
	if err == nil {
		err = errors.New("SQS gave no reason")
	}
	c.outages.fails(PartDelete, causeDelete, c.outages.now(), untilForgotten, queueReason(err))
}

// wereDeleted notes messages that were deleted.
func (c *Consumer) wereDeleted(n int) {
	if _, most := c.deleted.add(false, n); n > 0 && !most {
		c.outages.works(PartDelete, causeDelete)
	}
}

// watchLag checks until ctx ends whether messages wait in the queue and none is
// received.
func (c *Consumer) watchLag(ctx context.Context) {
	tick := time.NewTicker(lagEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.checkLag(ctx)
		}
	}
}

// checkLag requests the depth of the queue only while no message arrives and no failure
// is known: soon after the last message, and then rarely unless there is a lag.
func (c *Consumer) checkLag(ctx context.Context) {
	idle := time.Since(time.Unix(0, c.arrived.Load()))
	if idle < lagIdle || c.outages.failing(PartReceive) || c.outages.failing(PartStore) {
		c.outages.works(PartLag, causeQueue)
		c.looked = time.Time{}
		return
	}
	if time.Since(c.looked) < lagQuiet && !c.outages.failing(PartLag) {
		return
	}
	c.looked = time.Now()
	ctx, cancel := context.WithTimeout(ctx, queueCallLimit)
	defer cancel()
	switch n, err := c.options.Queue.Waiting(ctx); {
	case err != nil: // failed receives report that
	case n == 0:
		c.outages.works(PartLag, causeQueue)
	default:
		c.outages.fails(PartLag, causeQueue, c.outages.now(), 0, reason{
			brief: "the queue has messages but does not deliver them",
			text:  fmt.Sprintf("SQS reports %d visible messages but delivers none to this process; check the CloudWatch metrics of the queue, and restart this process", n),
		})
	}
}
