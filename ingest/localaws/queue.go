package localaws

import (
	"container/heap"
	"context"
	"crypto/md5"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Queue is one standard queue. Its methods may be called concurrently.
type Queue struct {
	name    string
	created time.Time
	ending  <-chan struct{} // closed when all waits must end

	lock     *sync.Mutex // of all queues of a server, so that a message changes queues in one step
	settings settings
	modified time.Time
	deleted  bool                // nothing is moved here any more
	messages map[string]*message // by ID
	byTime   messageHeap         // the same messages
	entered  uint64              // counts messages, to order those of the same instant
	waiting  int                 // long polls
	handed   int                 // deliveries so far
	arrived  chan struct{}       // closed and replaced when a wait may end earlier than planned
}

// message is a message as a queue stores it.
type message struct {
	id            string
	body          string
	md5           string
	attributes    messageAttributes
	trace         string // header of X-Ray; empty: none
	sent          time.Time
	firstReceived time.Time
	visible       time.Time // hidden before
	receives      int
	receivesPast  int    // of these, in the queue that it was moved from
	source        string // ARN of that queue; empty: it was sent here

	order uint64
	index int // in the heap
}

// delivery is a message as one receive returns it.
type delivery struct {
	message
	receipt string
}

// Depth has the numbers of messages in a queue.
type Depth struct {
	Visible int // would be received now
	Hidden  int // received and not yet deleted
	Delayed int // sent with a delay that has not ended
}

// Total returns the number of all messages.
func (d Depth) Total() int { return d.Visible + d.Hidden + d.Delayed }

func newQueue(name string, s settings, lock *sync.Mutex, ending <-chan struct{}) *Queue {
	now := time.Now()
	return &Queue{
		name: name, created: now, modified: now, settings: s, lock: lock, ending: ending,
		messages: map[string]*message{}, arrived: make(chan struct{}),
	}
}

// Send puts a message into the queue, to be visible after the delay, and returns its ID. The
// body must be valid UTF-8.
func (q *Queue) Send(body string, delay time.Duration) string {
	return q.send(newMessage(body, nil, delay)).MessageId
}

func (q *Queue) send(m *message) sent {
	q.lock.Lock()
	defer q.lock.Unlock()
	q.add(m)
	return sent{m.id, m.md5, m.attributes.md5()}
}

func newMessage(body string, attributes messageAttributes, delay time.Duration) *message {
	now := time.Now()
	return &message{
		id: newID(), body: body, md5: hexMD5(body), attributes: attributes, sent: now, visible: now.Add(delay),
	}
}

// Depth returns how many messages there are.
func (q *Queue) Depth() Depth {
	q.lock.Lock()
	defer q.lock.Unlock()
	return q.depth()
}

// Waiting returns the number of long polls that wait for a message.
func (q *Queue) Waiting() int {
	q.lock.Lock()
	defer q.lock.Unlock()
	return q.waiting
}

// Deliveries returns how often a message was received so far.
func (q *Queue) Deliveries() int {
	q.lock.Lock()
	defer q.lock.Unlock()
	return q.handed
}

// ExpireVisibility ends the visibility timeout of each message that was received and not
// deleted, so that a test does not need to wait for it. Delays continue.
func (q *Queue) ExpireVisibility() {
	q.lock.Lock()
	defer q.lock.Unlock()
	now := time.Now()
	for _, m := range q.messages {
		if m.hidden(now) {
			q.drop(m)
			m.visible = now
			q.add(m)
		}
	}
}

func (m *message) hidden(now time.Time) bool {
	return m.visible.After(now) && m.receives > m.receivesPast
}

func (q *Queue) depth() Depth {
	var d Depth
	now := time.Now()
	for _, m := range q.byTime {
		switch {
		case m.hidden(now):
			d.Hidden++
		case m.visible.After(now):
			d.Delayed++
		default:
			d.Visible++
		}
	}
	return d
}

// receive takes at most the given number of messages and hides them. It waits for the first
// message until the time is over, ctx ends or the server stops, and then returns none.
func (q *Queue) receive(ctx context.Context, most int, hide, wait time.Duration) []delivery {
	until := time.Now().Add(wait)
	if wait > 0 {
		q.count(+1)
		defer q.count(-1)
	}
	for ctx.Err() == nil {
		taken, arrived, next := q.take(most, hide)
		rest := time.Until(until)
		if len(taken) > 0 || rest <= 0 {
			return taken
		}
		if !next.IsZero() {
			rest = min(rest, time.Until(next))
		}
		timer := time.NewTimer(rest)
		select {
		case <-timer.C:
		case <-arrived:
		case <-ctx.Done():
		case <-q.ending:
			until = time.Time{} // one last look
		}
		timer.Stop()
	}
	return nil
}

func (q *Queue) count(change int) {
	q.lock.Lock()
	defer q.lock.Unlock()
	q.waiting += change
}

// take takes visible messages. If there are none, there may be some when arrived is closed or
// at next, which is zero if no message is hidden.
func (q *Queue) take(most int, hide time.Duration) (taken []delivery, arrived <-chan struct{}, next time.Time) {
	q.lock.Lock()
	defer q.lock.Unlock()
	now := time.Now()
	var received []*message
	for len(received) < most && len(q.byTime) > 0 && !q.byTime[0].visible.After(now) {
		m := q.byTime[0]
		q.drop(m)
		if r := q.settings.redrive; r != nil && !r.to.deleted && m.receives-m.receivesPast >= r.after {
			m.source, m.receivesPast = q.ARN(), m.receives
			r.to.add(m)
			continue
		}
		received = append(received, m)
	}
	// They become visible only now: otherwise, with a timeout of 0, each would be taken twice.
	for _, m := range received {
		m.receives++
		if m.firstReceived.IsZero() {
			m.firstReceived = now
		}
		m.visible = now.Add(hide)
		q.add(m)
		taken = append(taken, delivery{message: *m, receipt: q.receipt(m)})
	}
	q.handed += len(taken)
	if len(q.byTime) > 0 {
		next = q.byTime[0].visible
	}
	return taken, q.arrived, next
}

// peek returns the body of the message of a receipt handle, and whether the handle is still
// valid. It is not valid after the message was deleted or received again.
func (q *Queue) peek(receipt string) (body string, current bool, err error) {
	q.lock.Lock()
	defer q.lock.Unlock()
	m, err := q.find(receipt)
	if m == nil {
		return "", false, err
	}
	return m.body, true, nil
}

// remove deletes a message. A receipt handle that is out of date removes nothing,
// which is no error.
func (q *Queue) remove(receipt string) error {
	q.lock.Lock()
	defer q.lock.Unlock()
	m, err := q.find(receipt)
	if m != nil {
		q.drop(m)
	}
	return err
}

// hide sets how long a message in flight stays hidden, from now on.
func (q *Queue) hide(receipt string, d time.Duration) error {
	q.lock.Lock()
	defer q.lock.Unlock()
	m, err := q.find(receipt)
	if err != nil {
		return err
	}
	now := time.Now()
	if m == nil || !m.visible.After(now) {
		return invalidParameter("ReceiptHandle", receipt, "that of a message in flight")
	}
	q.drop(m)
	m.visible = now.Add(d)
	q.add(m)
	return nil
}

// bounds returns the bounds of a numeric attribute, with the queue's value as the default.
func (q *Queue) bounds(attribute string) bounds {
	q.lock.Lock()
	defer q.lock.Unlock()
	b := numbers[attribute]
	b.initial = q.settings.number[attribute]
	return b
}

// set changes attributes. The caller holds the lock.
func (q *Queue) set(changes map[string]string, find queueFinder) error {
	changed, err := q.settings.with(changes, find)
	if err == nil {
		q.settings, q.modified = changed, time.Now()
	}
	return err
}

// purge deletes all messages.
func (q *Queue) purge() {
	q.lock.Lock()
	defer q.lock.Unlock()
	q.messages, q.byTime = map[string]*message{}, nil
}

// add and drop, and what they call, are for holders of the lock.
func (q *Queue) add(m *message) {
	q.entered++
	m.order = q.entered
	q.messages[m.id] = m
	heap.Push(&q.byTime, m)
	if m.index > 0 {
		return // waiting receives check again before it is visible
	}
	close(q.arrived)
	q.arrived = make(chan struct{})
}

func (q *Queue) drop(m *message) {
	delete(q.messages, m.id)
	heap.Remove(&q.byTime, m.index)
}

// receipt is the handle of the latest receive. It only needs to look arbitrary.
func (q *Queue) receipt(m *message) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%s %s %d", q.name, m.id, m.receives))
}

// find returns the message of a receipt handle, nil if the handle is out of date,
// and an error if it never was one of this queue.
func (q *Queue) find(receipt string) (*message, error) {
	text, err := base64.StdEncoding.DecodeString(receipt)
	parts := strings.Split(string(text), " ")
	if err != nil || len(parts) != 3 || parts[0] != q.name {
		return nil, errReceiptHandle
	}
	if _, err := strconv.ParseUint(parts[2], 10, 64); err != nil {
		return nil, errReceiptHandle
	}
	if m := q.messages[parts[1]]; m != nil && q.receipt(m) == receipt {
		return m, nil
	}
	return nil, nil
}

// newID returns a random ID in the form of a UUID, as SQS does.
func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func hexMD5(s string) string {
	sum := md5.Sum([]byte(s)) // a checksum of the protocol, not for secrets
	return hex.EncodeToString(sum[:])
}
