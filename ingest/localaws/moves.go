package localaws

import (
	"net/http"
	"slices"
	"time"
)

const (
	maxMoves          = 1000 // that are remembered
	maxMovesListed    = 10
	maxMovesPerSecond = 500
)

// move is one task that moves messages out of a dead-letter queue. The lock of the queues
// guards it.
type move struct {
	handle  string
	from    *Queue
	to      *Queue        // nil: each message moves to the queue from which it came
	every   time.Duration // between messages; 0: as fast as possible
	asked   int           // messages per second; 0: not set
	started time.Time
	cancel  chan struct{} // closed to end it

	status  string // RUNNING, COMPLETED, CANCELLING, CANCELLED, FAILED
	failure string
	moved   int64
	planned int64 // messages in the queue at the start
}

type (
	startMoveRequest struct {
		SourceArn, DestinationArn    string
		MaxNumberOfMessagesPerSecond *int
	}
	startMoveResult  struct{ TaskHandle string }
	listMovesRequest struct {
		SourceArn  string
		MaxResults *int
	}
	listMovesResult   struct{ Results []moveResult }
	cancelMoveRequest struct{ TaskHandle string }
	cancelMoveResult  struct{ ApproximateNumberOfMessagesMoved int64 }
	moveResult        struct {
		TaskHandle                        string `json:",omitzero"` // while it runs
		Status                            string
		SourceArn                         string
		DestinationArn                    string `json:",omitzero"`
		MaxNumberOfMessagesPerSecond      int    `json:",omitzero"`
		ApproximateNumberOfMessagesMoved  int64
		ApproximateNumberOfMessagesToMove int64
		FailureReason                     string `json:",omitzero"`
		StartedTimestamp                  int64  // milliseconds
	}
	deadLetterSourcesRequest struct{ toQueue }
	deadLetterSourcesResult  struct {
		QueueURLs []string `json:"queueUrls"`
	}
)

var (
	errNoMove  = &Error{Code: "ResourceNotFoundException", Message: "there is no such task that runs", Status: http.StatusNotFound}
	errNoARN   = &Error{Code: "ResourceNotFoundException", Message: "there is no queue of this ARN", Status: http.StatusNotFound}
	errMoving  = &Error{Code: "UnsupportedOperation", Message: "a task moves the messages of this queue already"}
	errNotDead = invalidParameter("SourceArn", "this queue", "the dead-letter queue of another")
)

func (s *Server) listDeadLetterSourceQueues(r *http.Request, q *Queue, _ deadLetterSourcesRequest) (any, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	urls := []string{}
	for _, source := range s.sourcesOf(q) {
		urls = append(urls, source.URL(here(r)))
	}
	slices.Sort(urls)
	return deadLetterSourcesResult{urls}, nil
}

func (s *Server) startMessageMoveTask(_ *http.Request, in startMoveRequest) (any, error) {
	perSecond, err := number("MaxNumberOfMessagesPerSecond", in.MaxNumberOfMessagesPerSecond, bounds{0, 1, maxMovesPerSecond})
	if err != nil {
		return nil, err
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	from, to := s.byARN(in.SourceArn), s.byARN(in.DestinationArn)
	switch {
	case from == nil || to == nil && in.DestinationArn != "":
		return nil, errNoARN
	case len(s.sourcesOf(from)) == 0:
		return nil, errNotDead
	case slices.ContainsFunc(s.moves, func(m *move) bool { return m.from == from && m.runs() }):
		return nil, errMoving
	}
	m := &move{
		handle: newID(), from: from, to: to, asked: perSecond, started: time.Now(), cancel: make(chan struct{}),
		status: "RUNNING", planned: int64(from.depth().Visible),
	}
	if perSecond > 0 {
		m.every = time.Second / time.Duration(perSecond)
	}
	s.moves = append(s.moves, m)
	s.moves = s.moves[max(0, len(s.moves)-maxMoves):]
	go s.run(m)
	return startMoveResult{m.handle}, nil
}

func (s *Server) listMessageMoveTasks(_ *http.Request, in listMovesRequest) (any, error) {
	most, err := number("MaxResults", in.MaxResults, bounds{1, 1, maxMovesListed})
	if err != nil {
		return nil, err
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.byARN(in.SourceArn) == nil {
		return nil, errNoARN
	}
	results := []moveResult{}
	for _, m := range slices.Backward(s.moves) {
		if m.from.ARN() == in.SourceArn && len(results) < most {
			results = append(results, m.result())
		}
	}
	return listMovesResult{results}, nil
}

func (s *Server) cancelMessageMoveTask(_ *http.Request, in cancelMoveRequest) (any, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, m := range s.moves {
		if m.handle == in.TaskHandle && m.status == "RUNNING" {
			m.status = "CANCELLING"
			close(m.cancel)
			return cancelMoveResult{m.moved}, nil
		}
	}
	return nil, errNoMove
}

func (m *move) runs() bool { return m.status == "RUNNING" || m.status == "CANCELLING" }

func (m *move) result() moveResult {
	r := moveResult{
		Status: m.status, SourceArn: m.from.ARN(), MaxNumberOfMessagesPerSecond: m.asked,
		ApproximateNumberOfMessagesMoved: m.moved, ApproximateNumberOfMessagesToMove: m.planned,
		FailureReason: m.failure, StartedTimestamp: m.started.UnixMilli(),
	}
	if m.runs() {
		r.TaskHandle = m.handle
	}
	if m.to != nil {
		r.DestinationArn = m.to.ARN()
	}
	return r
}

// run moves messages until no more can be received, or it is cancelled.
func (s *Server) run(m *move) {
	for s.moveOne(m) {
		wait := time.NewTimer(m.every)
		select {
		case <-wait.C:
		case <-m.cancel:
		case <-s.ending:
		}
		wait.Stop()
	}
}

// moveOne moves one message and reports whether the task continues.
func (s *Server) moveOne(m *move) (more bool) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if ended(m.cancel) || ended(s.ending) {
		m.status = "CANCELLED"
		return false
	}
	q := m.from
	if len(q.byTime) == 0 || q.byTime[0].visible.After(time.Now()) {
		m.status = "COMPLETED"
		return false
	}
	old, to := q.byTime[0], m.to
	if to == nil {
		to = s.byARN(old.source)
	}
	if to == nil || to.deleted {
		m.status, m.failure = "FAILED", "CouldNotDetermineMessageSource"
		return false
	}
	q.drop(old)
	to.add(newMessage(old.body, old.attributes, 0)) // with a new ID and a new count, as with SQS
	m.moved++
	return true
}

func ended(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// byARN returns the queue of an ARN, nil if there is none. The caller holds the
// lock.
func (s *Server) byARN(arn string) *Queue {
	if q := s.byName(nameInARN(arn)); q != nil && q.ARN() == arn {
		return q
	}
	return nil
}

// sourcesOf returns the queues whose dead-letter queue this is. The caller holds
// the lock.
func (s *Server) sourcesOf(dead *Queue) []*Queue {
	var sources []*Queue
	for _, q := range s.queues {
		if r := q.settings.redrive; r != nil && r.to == dead {
			sources = append(sources, q)
		}
	}
	return sources
}
