package localaws

import (
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"statuscache/ingest/internal/eventpattern"
)

const (
	eventsARN  = "arn:aws:events:" + region + ":" + account + ":"
	busesARN   = eventsARN + "event-bus/"
	defaultBus = "default" // the name of the bus that services of AWS send to
)

// bus is EventBridge: the event buses with their rules, archives and replays.
type bus struct {
	lock     sync.Mutex // never held while a queue is locked
	delays   Delays
	names    map[string]bool // of the buses
	rules    map[ruleName]*rule
	archives map[string]*archive
	replays  []*replay // the newest last
	stats    BusStats
}

// BusStats counts events by their result.
type BusStats struct {
	Published    int64 // events that arrived, including replayed ones
	Malformed    int64 // of these, those that are not events
	Matched      int64 // matches of an event and a rule
	Delivered    int64 // events that a target got
	DeadLettered int64 // events that a target's dead-letter queue got
	Dropped      int64 // events that neither of them got
}

// Delays are how long the bus takes for steps that need time on AWS. The zero value does
// everything at once.
type Delays struct {
	// NewRule is how long a rule matches nothing after it was created or enabled.
	NewRule time.Duration
	// ReplayedMinute is how long a replay takes before each minute's events.
	ReplayedMinute time.Duration
}

func newBus() bus {
	return bus{names: map[string]bool{defaultBus: true}, rules: map[ruleName]*rule{}, archives: map[string]*archive{}}
}

// SetDelays sets how long the bus takes from now on.
func (s *Server) SetDelays(d Delays) {
	s.bus.lock.Lock()
	defer s.bus.lock.Unlock()
	s.bus.delays = d
}

// BusStats returns the results of the events until now.
func (s *Server) BusStats() BusStats {
	s.bus.lock.Lock()
	defer s.bus.lock.Unlock()
	return s.bus.stats
}

// Publish puts a whole event on the default bus, in the envelope of EventBridge, as a service
// of AWS does: it is archived, matched against the rules and delivered to their targets before
// Publish returns. It never fails: an event that cannot be delivered goes to the target's
// dead-letter queue. If that is not possible either, it is dropped and counted, and so is text
// that is not an event.
func (s *Server) Publish(event []byte) { s.publish(defaultBus, event, nil) }

// publish puts an event on a bus for the rules with some ARNs, or for all rules.
func (s *Server) publish(bus string, text []byte, only []string) {
	e, err := readEvent(text)
	for _, d := range s.bus.route(bus, e, err, only) {
		s.deliver(d)
	}
}

// event is an event in its envelope.
type event struct {
	text     string // JSON without white space
	tree     any    // the same, to be matched
	time     time.Time
	replayed bool
}

func readEvent(text []byte) (event, error) {
	compact := jsontext.Value(slices.Clone(text))
	if err := compact.Compact(); err != nil {
		return event{}, err
	}
	tree, err := eventpattern.Parse(compact)
	if err != nil {
		return event{}, err
	}
	fields, _ := tree.(map[string]any)
	at, _ := fields["time"].(string)
	e := event{text: string(compact), tree: tree}
	_, e.replayed = fields["replay-name"]
	e.time, err = time.Parse(time.RFC3339, at)
	return e, err
}

// busDelivery is one event on its way to one target.
type busDelivery struct {
	event event
	rule  ruleName
	to    target
}

// route archives an event and returns the deliveries of it.
func (b *bus) route(name string, e event, malformed error, only []string) []busDelivery {
	b.lock.Lock()
	defer b.lock.Unlock()
	b.stats.Published++
	if malformed != nil {
		b.stats.Malformed++
		return nil
	}
	if !e.replayed {
		b.keep(name, e)
	}
	var deliveries []busDelivery
	for _, r := range b.rules {
		if r.bus != name || only != nil && !slices.Contains(only, r.arn()) || !r.matches(e) {
			continue
		}
		b.stats.Matched++
		for _, t := range r.targets {
			deliveries = append(deliveries, busDelivery{e, r.ruleName, t})
		}
	}
	return deliveries
}

// count adds one to a counter of the stats.
func (b *bus) count(counter *int64) {
	b.lock.Lock()
	defer b.lock.Unlock()
	*counter++
}
