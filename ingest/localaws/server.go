package localaws

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-json-experiment/json"
)

// A message may take six times its length if every byte of it is escaped.
const maxRequestBytes = 6*maxMessageBytes + 1<<20

// service is one of the simulated services.
type service struct {
	target      string // before the dot in X-Amz-Target
	contentType string
	namespace   string // of the types of its errors
	actions     map[string]action
}

// services are distinguished by the target in a call of the SDK.
func services() []*service {
	return []*service{
		{"AmazonSQS", "application/x-amz-json-1.0", "com.amazonaws.sqs", queueActions},
		{"AWSEvents", "application/x-amz-json-1.1", "com.amazonaws.eventbridge", busActions},
		{"AWSStepFunctions", "application/x-amz-json-1.0", "com.amazonaws.states", stateActions},
	}
}

// Server is the services: an http.Handler over queues and executions in memory. Use New to
// create it.
type Server struct {
	services []*service
	states   *states

	faults  atomic.Pointer[Faults]
	ending  chan struct{} // closed by Shutdown
	endOnce sync.Once

	lock   sync.Mutex // of the queues, too
	queues map[string]*Queue
	moves  []*move // the newest last

	bus bus
}

// New returns a server without queues.
func New() *Server {
	s := &Server{services: services(), ending: make(chan struct{}), queues: map[string]*Queue{}, bus: newBus()}
	s.SetFaults(Faults{})
	s.states = newStates(s.Publish, s.ending)
	return s
}

// CreateQueue returns the queue with this name, and creates it if there is none. The attributes
// are those of SQS, such as VisibilityTimeout in seconds; those not named have their defaults.
// It panics if SQS would answer with an error: the name or an attribute is wrong, or the queue
// exists with other attributes.
func (s *Server) CreateQueue(name string, attributes map[string]string) *Queue {
	q, err := s.create(name, attributes)
	if err != nil {
		panic("localaws: create queue " + name + ": " + err.Error())
	}
	return q
}

// SetFaults causes faults from now on. Faults{} ends them.
func (s *Server) SetFaults(f Faults) { s.faults.Store(&f) }

// Shutdown ends long polls, moves of messages and replays, now and from now on. Executions no
// longer change without a call; everything else continues. It may be called more than once. Let
// http.Server.RegisterOnShutdown call it.
func (s *Server) Shutdown() { s.endOnce.Do(func() { close(s.ending) }) }

// ServeHTTP answers one call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	service, name := s.target(r)
	result, err := s.answer(w, r, service, name)
	var body []byte
	if err == nil {
		body, err = json.Marshal(result)
	}
	w.Header().Set("Content-Type", service.contentType)
	w.Header().Set("x-amzn-RequestId", newID())
	if err != nil {
		writeError(w, service, asError(err))
		return
	}
	w.Write(body) //nolint:errcheck // who asked has gone
}

// target returns the service and the name of the action of a call. For an unknown service, the
// action is unknown too.
func (s *Server) target(r *http.Request) (*service, string) {
	target, name, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	for _, service := range s.services {
		if service.target == target {
			return service, name
		}
	}
	return s.services[0], r.Header.Get("X-Amz-Target")
}

func writeError(w http.ResponseWriter, service *service, e *Error) {
	w.Header().Set("x-amzn-query-error", e.queryError())
	w.WriteHeader(e.status())
	body := map[string]string{"__type": service.namespace + "#" + e.Code, "message": strings.ToValidUTF8(e.Message, "?")}
	json.MarshalWrite(w, body) //nolint:errcheck // who asked has gone
}

// answer returns the result of a call.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, service *service, name string) (any, error) {
	if r.Method != http.MethodPost {
		return nil, errNotPost
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBytes))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, errRequestTooLarge
	} else if err != nil {
		return nil, &Error{Code: "IncompleteBody", Message: err.Error()}
	}
	act := service.actions[name]
	if act == nil {
		return nil, &Error{Code: "UnsupportedOperation", Message: "cannot do " + name}
	}
	s.states.count(name)
	faults := s.faults.Load()
	if err := faults.refuse(name); err != nil {
		return nil, err
	}
	result, err := act(s, r, body)
	if err == nil {
		faults.done(name)
	}
	return result, err
}

// create is CreateQueue with an error instead of a panic.
func (s *Server) create(name string, attributes map[string]string) (*Queue, error) {
	if !validID(name) {
		return nil, invalidParameter("QueueName", name, "1 to 80 letters, digits, hyphens and underscores")
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	initial, err := defaultSettings().with(attributes, s.byName)
	if err != nil {
		return nil, err
	}
	q := s.queues[name]
	if q == nil {
		q = newQueue(name, initial, &s.lock, s.ending)
		s.queues[name] = q
	}
	for attribute, value := range attributes {
		if q.settings.text[attribute] != value {
			return nil, errQueueExists
		}
	}
	return q, nil
}

// set changes attributes of a queue.
func (s *Server) set(q *Queue, attributes map[string]string) error {
	s.lock.Lock()
	defer s.lock.Unlock()
	return q.set(attributes, s.byName)
}

// byName is a queueFinder for holders of the lock.
func (s *Server) byName(name string) *Queue { return s.queues[name] }

// names returns the names of all queues that begin with a prefix, in order.
func (s *Server) names(prefix string) []string {
	s.lock.Lock()
	defer s.lock.Unlock()
	return slices.DeleteFunc(slices.Sorted(maps.Keys(s.queues)), func(name string) bool {
		return !strings.HasPrefix(name, prefix)
	})
}
