package localaws

import (
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// States of a replay.
const (
	replayStarting   = "STARTING"
	replayRunning    = "RUNNING"
	replayCompleted  = "COMPLETED"
	replayFailed     = "FAILED"
	replayCancelling = "CANCELLING"
	replayCancelled  = "CANCELLED"
)

// replay puts archived events on the bus again. The lock of the bus guards it.
type replay struct {
	name, description string
	archive           string // ARN
	bus               string // name
	rules             []string
	from, to          time.Time
	minutes           [][]event // events of the same minute, the earliest first
	pace              time.Duration
	cancel            chan struct{} // closed to end it

	state, reason  string
	started, ended time.Time
	last           time.Time // of the latest event that was replayed
}

func (r *replay) arn() string { return eventsARN + "replay/" + r.name }

func (r *replay) active() bool {
	return r.state == replayStarting || r.state == replayRunning || r.state == replayCancelling
}

// between returns the events of a time range, both ends included, by minute. Within a minute
// the order is random, so that no program relies on it.
func (a *archive) between(from, to time.Time) [][]event {
	a.expire()
	byMinute := map[int64][]event{}
	for _, e := range a.events {
		if !e.time.Before(from) && !e.time.After(to) {
			minute := e.time.Truncate(time.Minute).Unix()
			byMinute[minute] = append(byMinute[minute], e)
		}
	}
	var minutes [][]event
	for _, minute := range slices.Sorted(maps.Keys(byMinute)) {
		events := byMinute[minute]
		rand.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		minutes = append(minutes, events)
	}
	return minutes
}

// replay runs a replay until it is complete or cancelled, or the server stops.
func (s *Server) replay(r *replay) {
	state, reason := s.replayMinutes(r)
	s.bus.lock.Lock()
	defer s.bus.lock.Unlock()
	r.state, r.reason, r.ended, r.minutes = state, reason, time.Now(), nil
}

func (s *Server) replayMinutes(r *replay) (state, reason string) {
	for _, events := range r.minutes {
		wait := time.NewTimer(r.pace)
		select {
		case <-wait.C:
		case <-r.cancel:
		case <-s.ending:
		}
		wait.Stop()
		switch {
		case ended(r.cancel):
			return replayCancelled, ""
		case ended(s.ending):
			return replayFailed, "the service was shut down"
		}
		for _, e := range events {
			s.publish(r.bus, withReplayName(e.text, r.name), r.rules)
		}
		s.bus.progress(r, slices.MaxFunc(events, func(a, b event) int { return a.time.Compare(b.time) }).time)
	}
	return replayCompleted, ""
}

// progress notes that events up to a time were replayed.
func (b *bus) progress(r *replay, last time.Time) {
	b.lock.Lock()
	defer b.lock.Unlock()
	r.last = last
	if r.state == replayStarting {
		r.state = replayRunning
	}
}

// withReplayName adds the field that only a replayed event has. The event is an object without
// white space.
func withReplayName(event, name string) []byte {
	text := append([]byte(event[:len(event)-1]), `,"replay-name":`...)
	quoted, _ := jsontext.AppendQuote(nil, name) // no error: a name is plain text
	return append(append(text, quoted...), '}')
}

// remember adds a replay, and forgets the oldest if there are too many.
func (b *bus) remember(r *replay) error {
	active := 0
	for _, other := range b.replays {
		if other.name == r.name {
			return alreadyExists("Replay " + r.name)
		}
		if other.active() {
			active++
		}
	}
	if active >= maxActiveReplays {
		return limitExceeded("replays at once", maxActiveReplays)
	}
	b.replays = append(b.replays, r)
	b.replays = b.replays[max(0, len(b.replays)-maxReplays):]
	return nil
}

func (r *replay) summary() replaySummary {
	return replaySummary{
		ReplayName: r.name, EventSourceArn: r.archive, State: r.state, StateReason: r.reason,
		EventStartTime: epoch(r.from), EventEndTime: epoch(r.to), EventLastReplayedTime: epochOrNone(r.last),
		ReplayStartTime: epochOrNone(r.started), ReplayEndTime: epochOrNone(r.ended),
	}
}

func epochOrNone(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return epoch(t)
}
