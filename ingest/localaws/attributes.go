package localaws

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The account and region of the simulated queues.
const (
	account = "000000000000"
	region  = "eu-west-1"
)

const maxMessageBytes = 1 << 20 // of one message, and of a batch

// Names of attributes that have an effect.
const (
	visibilityTimeout = "VisibilityTimeout"             // seconds
	delaySeconds      = "DelaySeconds"                  // seconds
	receiveWait       = "ReceiveMessageWaitTimeSeconds" // seconds
	maximumSize       = "MaximumMessageSize"            // bytes
	redrivePolicy     = "RedrivePolicy"                 // JSON
	policyAttribute   = "Policy"                        // JSON
)

// bounds are the least and greatest value of a number, and its default.
type bounds struct{ initial, least, most int }

// check returns an error that names the number if it is out of bounds.
func (b bounds) check(name string, n int) error {
	if n < b.least || n > b.most {
		return invalidParameter(name, n, fmt.Sprintf("between %d and %d", b.least, b.most))
	}
	return nil
}

var numbers = map[string]bounds{
	visibilityTimeout:        {30, 0, 43200},
	delaySeconds:             {0, 0, 900},
	receiveWait:              {0, 0, 20},
	maximumSize:              {maxMessageBytes, 1024, maxMessageBytes},
	"MessageRetentionPeriod": {345600, 60, 1209600},
}

// inert attributes are kept as they were set and have no effect.
var inert = map[string]bool{
	"RedriveAllowPolicy":           true,
	"SqsManagedSseEnabled":         true,
	"KmsMasterKeyId":               true,
	"KmsDataKeyReusePeriodSeconds": true,
}

// computed attributes follow from the content of the queue.
var computed = map[string]func(*Queue) string{
	"QueueArn":                              (*Queue).ARN,
	"CreatedTimestamp":                      func(q *Queue) string { return seconds(q.created) },
	"LastModifiedTimestamp":                 func(q *Queue) string { return seconds(q.modified) },
	"ApproximateNumberOfMessages":           func(q *Queue) string { return strconv.Itoa(q.depth().Visible) },
	"ApproximateNumberOfMessagesNotVisible": func(q *Queue) string { return strconv.Itoa(q.depth().Hidden) },
	"ApproximateNumberOfMessagesDelayed":    func(q *Queue) string { return strconv.Itoa(q.depth().Delayed) },
}

func seconds(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// settings are the attributes of a queue that can be set. They are replaced as a
// whole, never changed.
type settings struct {
	text    map[string]string // as set, with defaults
	number  map[string]int    // those that are numbers
	redrive *redrive          // nil: nothing moves
	policy  *policy           // nil: no service may send
}

// redrive names the queue for messages that were received too often.
type redrive struct {
	to    *Queue
	after int // receives
}

// queueFinder returns the queue with a name, nil if there is none.
type queueFinder func(name string) *Queue

func defaultSettings() settings {
	s := settings{text: map[string]string{}, number: map[string]int{}}
	for name, b := range numbers {
		s.text[name], s.number[name] = strconv.Itoa(b.initial), b.initial
	}
	return s
}

// with returns the settings after changes.
func (s settings) with(changes map[string]string, find queueFinder) (settings, error) {
	s.text, s.number = maps.Clone(s.text), maps.Clone(s.number)
	for name, value := range changes {
		if err := s.set(name, value, find); err != nil {
			return settings{}, err
		}
	}
	return s, nil
}

// set changes one attribute of settings that are not in use yet.
func (s *settings) set(name, value string, find queueFinder) error {
	b, isNumber := numbers[name]
	switch {
	case isNumber:
		n, err := strconv.Atoi(value)
		if err != nil || b.check(name, n) != nil {
			return &Error{Code: "InvalidAttributeValue", Message: fmt.Sprintf("%s must be between %d and %d", name, b.least, b.most)}
		}
		s.number[name] = n
	case name == redrivePolicy:
		r, err := parseRedrive(value, find)
		if err != nil {
			return err
		}
		s.redrive = r
	case name == policyAttribute:
		p, err := parsePolicy(value)
		if err != nil {
			return &Error{Code: "InvalidAttributeValue", Message: "Policy: " + err.Error()}
		}
		s.policy = p
	case !inert[name]:
		return &Error{Code: "InvalidAttributeName", Message: name + " cannot be set"}
	}
	if s.text[name] = value; value == "" {
		delete(s.text, name)
	}
	return nil
}

// parseRedrive reads a redrive policy. An empty one removes it.
func parseRedrive(policy string, find queueFinder) (*redrive, error) {
	if policy == "" {
		return nil, nil
	}
	var p struct {
		Target string         `json:"deadLetterTargetArn"`
		After  jsontext.Value `json:"maxReceiveCount"` // 5 and "5" are both in use
	}
	if err := json.Unmarshal([]byte(policy), &p); err != nil {
		return nil, invalidParameter(redrivePolicy, policy, "an object in JSON")
	}
	after, err := strconv.Atoi(strings.Trim(string(p.After), `"`))
	if err != nil || after < 1 || after > 1000 {
		return nil, invalidParameter("maxReceiveCount", string(p.After), "between 1 and 1000")
	}
	to := find(nameInARN(p.Target))
	if to == nil || to.ARN() != p.Target {
		return nil, invalidParameter("deadLetterTargetArn", p.Target, "the ARN of a queue")
	}
	return &redrive{to: to, after: after}, nil
}

// attributes returns the attributes with the given names, all of them for "All". The caller
// holds the lock.
func (q *Queue) attributes(names []string) (map[string]string, error) {
	found := map[string]string{}
	for _, name := range names {
		value, set := q.settings.text[name]
		compute, isComputed := computed[name]
		switch {
		case set:
			found[name] = value
		case isComputed:
			found[name] = compute(q)
		case name == "All":
			maps.Copy(found, q.settings.text)
			for name, compute := range computed {
				found[name] = compute(q)
			}
		case !inert[name] && name != redrivePolicy && name != policyAttribute: // these may be unset
			return nil, &Error{Code: "InvalidAttributeName", Message: "there is no attribute " + name}
		}
	}
	return found, nil
}

func nameInARN(arn string) string { return arn[strings.LastIndexByte(arn, ':')+1:] }

// ARN returns the queue's ARN, in a region and an account that do not matter.
func (q *Queue) ARN() string { return "arn:aws:sqs:" + region + ":" + account + ":" + q.name }

// URL returns the queue's URL at a server that listens at base, such as
// http://127.0.0.1:9324.
func (q *Queue) URL(base string) string { return strings.TrimSuffix(base, "/") + queuePath + q.name }

const queuePath = "/" + account + "/"
