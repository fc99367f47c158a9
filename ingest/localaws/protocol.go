package localaws

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"
)

// The names of the fields below are those of the protocol. A number that may be left out is a
// pointer, because SQS distinguishes 0 from nothing. Other fields are ignored.

// toQueue is in every request about one queue.
type toQueue struct{ QueueUrl string }

func (t toQueue) queueURL() string {
	return t.QueueUrl
}

type (
	createQueueRequest struct {
		QueueName  string
		Attributes map[string]string
	}
	getQueueURLRequest  struct{ QueueName string }
	listQueuesRequest   struct{ QueueNamePrefix string }
	purgeQueueRequest   struct{ toQueue }
	deleteQueueRequest  struct{ toQueue }
	getQueueAttrRequest struct {
		toQueue
		AttributeNames []string
	}
	setQueueAttrRequest struct {
		toQueue
		Attributes map[string]string
	}
	receiveMessageRequest struct {
		toQueue
		MaxNumberOfMessages         *int
		VisibilityTimeout           *int // seconds
		WaitTimeSeconds             *int
		AttributeNames              []string // the older name of the next field
		MessageSystemAttributeNames []string
		MessageAttributeNames       []string
	}

	// The requests for one message; the first line of each is an entry of a batch.
	outgoing struct {
		MessageBody             string
		MessageAttributes       messageAttributes
		MessageSystemAttributes messageAttributes
		DelaySeconds            *int
	}
	receipt    struct{ ReceiptHandle string }
	visibility struct {
		receipt
		VisibilityTimeout *int // seconds
	}
	sendMessageRequest struct {
		toQueue
		outgoing
	}
	deleteMessageRequest struct {
		toQueue
		receipt
	}
	changeVisibilityRequest struct {
		toQueue
		visibility
	}

	queueURLResult   struct{ QueueUrl string }
	queueURLsResult  struct{ QueueUrls []string }
	attributesResult struct{ Attributes map[string]string }
	emptyResult      struct{}
	sent             struct {
		MessageId, MD5OfMessageBody string
		MD5OfMessageAttributes      string `json:",omitzero"`
	}
	receivedResult struct {
		Messages []receivedMessage `json:",omitempty"`
	}
	receivedMessage struct {
		MessageId, ReceiptHandle, MD5OfBody, Body string
		Attributes                                map[string]string `json:",omitempty"`
		MD5OfMessageAttributes                    string            `json:",omitzero"`
		MessageAttributes                         messageAttributes `json:",omitempty"`
	}
)

// action executes a request.
type action func(s *Server, r *http.Request, body []byte) (any, error)

var queueActions = map[string]action{
	"CreateQueue":                  decoded((*Server).createQueue),
	"GetQueueUrl":                  decoded((*Server).getQueueURL),
	"ListQueues":                   decoded((*Server).listQueues),
	"GetQueueAttributes":           forQueue((*Server).getQueueAttributes),
	"SetQueueAttributes":           forQueue((*Server).setQueueAttributes),
	"PurgeQueue":                   forQueue((*Server).purgeQueue),
	"DeleteQueue":                  forQueue((*Server).deleteQueue),
	"ListDeadLetterSourceQueues":   forQueue((*Server).listDeadLetterSourceQueues),
	"StartMessageMoveTask":         decoded((*Server).startMessageMoveTask),
	"ListMessageMoveTasks":         decoded((*Server).listMessageMoveTasks),
	"CancelMessageMoveTask":        decoded((*Server).cancelMessageMoveTask),
	"SendMessage":                  forQueue((*Server).sendMessage),
	"SendMessageBatch":             forQueue((*Server).sendMessageBatch),
	"ReceiveMessage":               forQueue((*Server).receiveMessage),
	"DeleteMessage":                forQueue((*Server).deleteMessage),
	"DeleteMessageBatch":           forQueue((*Server).deleteMessageBatch),
	"ChangeMessageVisibility":      forQueue((*Server).changeVisibility),
	"ChangeMessageVisibilityBatch": forQueue((*Server).changeVisibilityBatch),
}

// decoded reads a request of type In.
func decoded[In any](act func(*Server, *http.Request, In) (any, error)) action {
	return func(s *Server, r *http.Request, body []byte) (any, error) {
		var in In
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, &Error{Code: "SerializationException", Message: err.Error()}
		}
		return act(s, r, in)
	}
}

// forQueue reads a request of type In and finds its queue.
func forQueue[In interface{ queueURL() string }](act func(*Server, *http.Request, *Queue, In) (any, error)) action {
	return decoded(func(s *Server, r *http.Request, in In) (any, error) {
		q, err := s.queueAt(in.queueURL())
		if err != nil {
			return nil, err
		}
		return act(s, r, q, in)
	})
}

// queueAt returns the queue of a URL. Host and port do not matter, because a server can have
// several.
func (s *Server) queueAt(address string) (*Queue, error) {
	if address == "" {
		return nil, missingParameter("QueueUrl")
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, errNoQueue
	}
	name, ours := strings.CutPrefix(u.Path, queuePath)
	s.lock.Lock()
	defer s.lock.Unlock()
	q := s.byName(name)
	if !ours || q == nil {
		return nil, errNoQueue
	}
	return q, nil
}

// here is the base of the URLs in an answer: the address at which the request arrived.
func here(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}
