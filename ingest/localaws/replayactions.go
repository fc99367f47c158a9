package localaws

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	maxActiveReplays = 10
	maxReplays       = 1000 // that are remembered
	maxReplayName    = 64
)

type (
	startReplayRequest struct {
		ReplayName, Description, EventSourceArn string
		EventStartTime, EventEndTime            float64
		Destination                             destination
	}
	destination struct {
		Arn        string
		FilterArns []string `json:",omitempty"`
	}
	replayRequest      struct{ ReplayName string }
	listReplaysRequest struct{ NamePrefix, EventSourceArn, State string }

	startReplayResult struct {
		ReplayArn, State string
		ReplayStartTime  float64
	}
	cancelReplayResult struct{ ReplayArn, State string }
	replaySummary      struct {
		ReplayName, EventSourceArn, State string
		StateReason                       string `json:",omitzero"`
		EventStartTime, EventEndTime      float64
		EventLastReplayedTime             float64 `json:",omitzero"`
		ReplayStartTime                   float64 `json:",omitzero"`
		ReplayEndTime                     float64 `json:",omitzero"`
	}
	replayResult struct {
		replaySummary
		ReplayArn   string
		Description string `json:",omitzero"`
		Destination destination
	}
	replaysResult struct{ Replays []replaySummary }
)

func (s *Server) startReplay(_ *http.Request, in startReplayRequest) (any, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	b := &s.bus
	b.lock.Lock()
	defer b.lock.Unlock()
	name, _ := strings.CutPrefix(in.EventSourceArn, eventsARN+"archive/")
	a := b.archives[name]
	if a == nil || a.arn() != in.EventSourceArn {
		return nil, notFound("Archive " + in.EventSourceArn)
	}
	if in.Destination.Arn != busARN(a.bus) {
		return nil, validation("Parameter Destination.Arn is not valid. Reason: it must be the event bus of the archive.")
	}
	for _, arn := range in.Destination.FilterArns {
		if !b.hasRule(a.bus, arn) {
			return nil, notFound("Rule " + arn)
		}
	}
	r := &replay{
		name: in.ReplayName, description: in.Description, archive: a.arn(), bus: a.bus, rules: in.Destination.FilterArns,
		from: fromEpoch(in.EventStartTime), to: fromEpoch(in.EventEndTime), pace: b.delays.ReplayedMinute,
		cancel: make(chan struct{}), state: replayStarting, started: time.Now(),
	}
	if err := b.remember(r); err != nil {
		return nil, err
	}
	r.minutes = a.between(r.from, r.to)
	go s.replay(r)
	return startReplayResult{r.arn(), r.state, epoch(r.started)}, nil
}

func (in startReplayRequest) check() error {
	if err := checkName(in.ReplayName, maxReplayName); err != nil {
		return err
	}
	if in.EventStartTime >= in.EventEndTime {
		return validation("Parameter EventEndTime is not valid. Reason: EventStartTime must be before EventEndTime.")
	}
	return nil
}

func (s *Server) describeReplay(_ *http.Request, in replayRequest) (any, error) {
	s.bus.lock.Lock()
	defer s.bus.lock.Unlock()
	r, err := s.bus.replay(in.ReplayName)
	if err != nil {
		return nil, err
	}
	return replayResult{r.summary(), r.arn(), r.description, destination{busARN(r.bus), r.rules}}, nil
}

func (s *Server) listReplays(_ *http.Request, in listReplaysRequest) (any, error) {
	s.bus.lock.Lock()
	defer s.bus.lock.Unlock()
	replays := []replaySummary{}
	for _, r := range slices.Backward(s.bus.replays) {
		if strings.HasPrefix(r.name, in.NamePrefix) && cmp.Or(in.EventSourceArn, r.archive) == r.archive &&
			cmp.Or(in.State, r.state) == r.state {
			replays = append(replays, r.summary())
		}
	}
	return replaysResult{replays}, nil
}

func (s *Server) cancelReplay(_ *http.Request, in replayRequest) (any, error) {
	s.bus.lock.Lock()
	defer s.bus.lock.Unlock()
	r, err := s.bus.replay(in.ReplayName)
	if err != nil {
		return nil, err
	}
	if r.state != replayStarting && r.state != replayRunning {
		return nil, &Error{Code: "IllegalStatusException", Message: "Replay " + r.name + " is " + r.state + "."}
	}
	r.state = replayCancelling
	close(r.cancel)
	return cancelReplayResult{r.arn(), r.state}, nil
}

// replay returns the replay of a name. The caller holds the lock.
func (b *bus) replay(name string) (*replay, error) {
	for _, r := range b.replays {
		if r.name == name {
			return r, nil
		}
	}
	return nil, notFound("Replay " + name)
}
