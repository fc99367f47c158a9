package localaws

import (
	"strconv"
	"strings"
)

// undelivered says why a target did not get an event.
type undelivered struct {
	code, message string
	retries       int // attempts after the first
	exhausted     string
}

// deliver sends an event to its target, or to the target's dead-letter queue.
func (s *Server) deliver(d busDelivery) {
	failed := s.send(d)
	switch {
	case failed == nil:
		s.bus.count(&s.bus.stats.Delivered)
	case d.to.DeadLetterConfig != nil && s.sendFromBus(d.to.DeadLetterConfig.Arn, d, failed.attributes(d)) == nil:
		s.bus.count(&s.bus.stats.DeadLettered)
	default:
		s.bus.count(&s.bus.stats.Dropped)
	}
}

// send sends an event to the queue or the bus that is its target. An event goes from bus to bus
// only once, as at AWS.
func (s *Server) send(d busDelivery) *undelivered {
	name, toBus := strings.CutPrefix(d.to.Arn, busesARN)
	switch {
	case !toBus:
		return s.sendFromBus(d.to.Arn, d, nil)
	case d.rule.bus != defaultBus || name == d.rule.bus || !s.bus.has(name):
		return &undelivered{code: "NO_RESOURCE", message: "The event bus does not exist, or the event came from another already."}
	}
	s.publish(name, []byte(d.event.text), nil)
	return nil
}

// attributes are those of a message in the dead-letter queue of a target.
func (u *undelivered) attributes(d busDelivery) messageAttributes {
	text := func(s string) messageAttribute { return messageAttribute{DataType: "String", StringValue: s} }
	all := messageAttributes{
		"RULE_ARN":       text(d.rule.arn()),
		"TARGET_ARN":     text(d.to.Arn),
		"ERROR_CODE":     text(u.code),
		"ERROR_MESSAGE":  text(u.message),
		"RETRY_ATTEMPTS": {DataType: "Number", StringValue: strconv.Itoa(u.retries)},
	}
	if u.exhausted != "" {
		all["EXHAUSTED_RETRY_CONDITION"] = text(u.exhausted)
	}
	return all
}

// sendFromBus sends an event to a queue as EventBridge would, if the queue's policy
// lets it.
func (s *Server) sendFromBus(arn string, d busDelivery, attributes messageAttributes) *undelivered {
	if s.faults.Load().failDelivery(arn) {
		return &undelivered{"THROTTLING", "The queue did not take the event.", d.to.retries(), "MaximumRetryAttempts"}
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	q := s.byARN(arn)
	if q == nil {
		return &undelivered{code: "NO_RESOURCE", message: "The queue does not exist."}
	}
	allowed := q.settings.policy.allows(access{
		service: "events.amazonaws.com", action: "sqs:SendMessage", resource: arn,
		context: map[string]string{
			"aws:sourcearn": d.rule.arn(), "aws:sourceaccount": account, "aws:securetransport": "true",
		},
	})
	switch {
	case !allowed:
		return &undelivered{code: "NO_PERMISSIONS", message: "The policy of the queue does not let the rule send."}
	case len(d.event.text)+attributes.bytes() > q.settings.number[maximumSize]:
		return &undelivered{code: "INVALID_PARAMETER", message: "The event is longer than the queue takes."}
	}
	q.add(newMessage(d.event.text, attributes, inSeconds(q.settings.number[delaySeconds])))
	return nil
}
