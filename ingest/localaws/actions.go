package localaws

import (
	"net/http"
	"strconv"
	"time"
)

func (s *Server) createQueue(r *http.Request, in createQueueRequest) (any, error) {
	q, err := s.create(in.QueueName, in.Attributes)
	if err != nil {
		return nil, err
	}
	return queueURLResult{q.URL(here(r))}, nil
}

func (s *Server) getQueueURL(r *http.Request, in getQueueURLRequest) (any, error) {
	q, err := s.queueAt(queuePath + in.QueueName)
	if err != nil {
		return nil, err
	}
	return queueURLResult{q.URL(here(r))}, nil
}

func (s *Server) listQueues(r *http.Request, in listQueuesRequest) (any, error) {
	var urls []string
	for _, name := range s.names(in.QueueNamePrefix) {
		urls = append(urls, here(r)+queuePath+name)
	}
	return queueURLsResult{urls}, nil
}

func (s *Server) getQueueAttributes(_ *http.Request, q *Queue, in getQueueAttrRequest) (any, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	found, err := q.attributes(in.AttributeNames)
	if err != nil {
		return nil, err
	}
	return attributesResult{found}, nil
}

func (s *Server) setQueueAttributes(_ *http.Request, q *Queue, in setQueueAttrRequest) (any, error) {
	return emptyResult{}, s.set(q, in.Attributes)
}

func (s *Server) purgeQueue(_ *http.Request, q *Queue, _ purgeQueueRequest) (any, error) {
	q.purge()
	return emptyResult{}, nil
}

// deleteQueue makes the queue's URL and ARN unknown. An open long poll continues until its time
// is over.
func (s *Server) deleteQueue(_ *http.Request, q *Queue, _ deleteQueueRequest) (any, error) {
	q.purge()
	s.lock.Lock()
	defer s.lock.Unlock()
	q.deleted = true
	delete(s.queues, q.name)
	return emptyResult{}, nil
}

func (s *Server) sendMessage(_ *http.Request, q *Queue, in sendMessageRequest) (any, error) {
	return q.accept(in.outgoing)
}

func (s *Server) deleteMessage(_ *http.Request, q *Queue, in deleteMessageRequest) (any, error) {
	return emptyResult{}, s.delete(q, in.receipt)
}

func (s *Server) changeVisibility(_ *http.Request, q *Queue, in changeVisibilityRequest) (any, error) {
	return emptyResult{}, q.change(in.visibility)
}

func (s *Server) receiveMessage(r *http.Request, q *Queue, in receiveMessageRequest) (any, error) {
	most, err := number("MaxNumberOfMessages", in.MaxNumberOfMessages, bounds{1, 1, 10})
	if err != nil {
		return nil, err
	}
	hide, err := number(visibilityTimeout, in.VisibilityTimeout, q.bounds(visibilityTimeout))
	if err != nil {
		return nil, err
	}
	wait, err := number("WaitTimeSeconds", in.WaitTimeSeconds, q.bounds(receiveWait))
	if err != nil {
		return nil, err
	}
	var result receivedResult
	asked := append(in.AttributeNames, in.MessageSystemAttributeNames...)
	for _, d := range q.receive(r.Context(), most, inSeconds(hide), inSeconds(wait)) {
		attributes := d.attributes.asked(in.MessageAttributeNames)
		result.Messages = append(result.Messages, receivedMessage{
			MessageId: d.id, ReceiptHandle: d.receipt, MD5OfBody: d.md5, Body: d.body,
			Attributes:             d.systemAttributes(asked),
			MD5OfMessageAttributes: attributes.md5(), MessageAttributes: attributes,
		})
	}
	return result, nil
}

// systemAttributes returns the requested attributes of a delivery.
func (d delivery) systemAttributes(asked []string) map[string]string {
	all := map[string]string{
		"ApproximateReceiveCount":          strconv.Itoa(d.receives),
		"SentTimestamp":                    strconv.FormatInt(d.sent.UnixMilli(), 10),
		"ApproximateFirstReceiveTimestamp": strconv.FormatInt(d.firstReceived.UnixMilli(), 10),
	}
	if d.source != "" {
		all["DeadLetterQueueSourceArn"] = d.source
	}
	if d.trace != "" {
		all[traceHeader] = d.trace
	}
	found := map[string]string{}
	for _, name := range asked {
		if name == "All" {
			return all
		}
		if value, known := all[name]; known {
			found[name] = value
		}
	}
	return found
}

func (o outgoing) bytes() int { return len(o.MessageBody) + o.MessageAttributes.bytes() }

// accept puts a message into the queue if the queue accepts it.
func (q *Queue) accept(m outgoing) (sent, error) {
	delay, err := number(delaySeconds, m.DelaySeconds, q.bounds(delaySeconds))
	if err != nil {
		return sent{}, err
	}
	most := q.bounds(maximumSize).initial
	switch {
	case m.MessageBody == "":
		return sent{}, missingParameter("MessageBody")
	case m.bytes() > most:
		return sent{}, &Error{Code: "InvalidParameterValue", Message: "the message is longer than " + strconv.Itoa(most) + " bytes"}
	case !allowedText(m.MessageBody):
		return sent{}, errContents
	}
	if err := m.MessageAttributes.check(); err != nil {
		return sent{}, err
	}
	accepted := newMessage(m.MessageBody, m.MessageAttributes, inSeconds(delay))
	accepted.trace = m.MessageSystemAttributes[traceHeader].StringValue
	return q.send(accepted), nil
}

// traceHeader is the only system attribute that a sender may set.
const traceHeader = "AWSTraceHeader"

// delete deletes a message, or keeps it if the faults say so.
func (s *Server) delete(q *Queue, in receipt) error {
	if in.ReceiptHandle == "" {
		return missingParameter("ReceiptHandle")
	}
	body, current, err := q.peek(in.ReceiptHandle)
	if err != nil || !current {
		return err
	}
	faults := s.faults.Load()
	switch {
	case faults.failDelete(body):
		return ErrInternal
	case faults.resurrect(body):
		q.hide(in.ReceiptHandle, 0) //nolint:errcheck // it is visible already
		return nil
	}
	return q.remove(in.ReceiptHandle)
}

// change changes how long a message stays hidden.
func (q *Queue) change(in visibility) error {
	if in.ReceiptHandle == "" {
		return missingParameter("ReceiptHandle")
	}
	if in.VisibilityTimeout == nil {
		return missingParameter(visibilityTimeout)
	}
	hide, err := number(visibilityTimeout, in.VisibilityTimeout, numbers[visibilityTimeout])
	if err != nil {
		return err
	}
	return q.hide(in.ReceiptHandle, inSeconds(hide))
}

// number returns the requested number, the initial one if there is none, and
// an error if it is out of bounds.
func number(name string, asked *int, b bounds) (int, error) {
	if asked == nil {
		return b.initial, nil
	}
	return *asked, b.check(name, *asked)
}

func inSeconds(n int) time.Duration { return time.Duration(n) * time.Second }

// allowedText reports whether SQS accepts a body, which may only have characters of XML 1.0.
func allowedText(s string) bool {
	for _, c := range s {
		white := c == '\t' || c == '\n' || c == '\r'
		if c < 0x20 && !white || c == 0xFFFE || c == 0xFFFF {
			return false
		}
	}
	return true
}
