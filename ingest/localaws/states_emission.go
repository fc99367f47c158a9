package localaws

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"
)

// Emission says how reliable the events about executions are. The zero Emission publishes each
// event once and at once. Probabilities are between 0 and 1.
//
// What happens to an event depends only on the seed, the ARN, the redrive count
// and the status, so that a run with the same names can be repeated.
type Emission struct {
	Seed            uint64
	Loss            float64 // probability that an event is lost
	LossOfExecution float64 // probability that an execution loses all its events
	LossOfRedrive   float64 // probability that a redrive loses all following events, up to the next redrive
	Duplicates      float64 // probability that an event is published twice, with the same ID
	Late            float64 // probability that a copy is late

	// Each copy is published after a delay between these two. Events overtake
	// each other where the delays differ by more than their distance.
	MinDelay, MaxDelay time.Duration
	// MaxLate is the most that a late copy is delayed in addition.
	MaxLate time.Duration
}

// Emitted counts the events about executions.
type Emitted struct {
	Published  int // copies that were sent to the bus
	Lost       int // events without a copy
	Duplicated int // events with two copies
}

// SetEmission changes how events are published from now on.
func (s *Server) SetEmission(e Emission) {
	s.states.lock.Lock()
	defer s.states.lock.Unlock()
	s.states.emission = e
}

// Emitted returns how many events were published, lost and duplicated so far.
// Copies whose delay is not over are not in Published yet.
func (s *Server) Emitted() Emitted {
	s.states.lock.Lock()
	defer s.states.lock.Unlock()
	return s.states.emitted
}

// emit publishes the event about a state with the chosen number of copies and delays.
func (s *states) emit(state ExecutionState) {
	event, err := state.event()
	if err != nil {
		panic("localaws: event of " + state.ARN + ": " + err.Error()) // a plot returned text that is not UTF-8
	}
	for _, delay := range s.copies(state) {
		if delay == 0 {
			s.tell(event)
			continue
		}
		s.after(delay, func() { s.tell(event) })
	}
}

// copies returns the delays of the copies of an event, and counts.
func (s *states) copies(state ExecutionState) []time.Duration {
	s.lock.Lock()
	defer s.lock.Unlock()
	delays := s.emission.delays(state)
	switch len(delays) {
	case 0:
		s.emitted.Lost++
	case 2:
		s.emitted.Duplicated++
	}
	return delays
}

func (s *states) tell(event []byte) {
	s.lock.Lock()
	s.emitted.Published++
	s.lock.Unlock()
	s.publish(event)
}

// delays returns the delay of each copy of an event.
func (e Emission) delays(state ExecutionState) []time.Duration {
	if e.lot(state.ARN).Float64() < e.LossOfExecution ||
		state.RedriveCount > 0 && e.lot(state.ARN, state.RedriveCount).Float64() < e.LossOfRedrive {
		return nil
	}
	lot := e.lot(state.ARN, state.RedriveCount, state.Status)
	if lot.Float64() < e.Loss {
		return nil
	}
	delays := make([]time.Duration, 1, 2)
	if lot.Float64() < e.Duplicates {
		delays = delays[:2]
	}
	for i := range delays {
		delays[i] = e.MinDelay + upTo(lot, e.MaxDelay-e.MinDelay)
		if lot.Float64() < e.Late {
			delays[i] += upTo(lot, e.MaxLate)
		}
	}
	return delays
}

// lot returns the random numbers for some names: the same for the same names.
func (e Emission) lot(names ...any) *rand.Rand {
	hash := fnv.New64a()
	fmt.Fprintln(hash, names...)
	return rand.New(rand.NewPCG(e.Seed, hash.Sum64()))
}

func upTo(lot *rand.Rand, most time.Duration) time.Duration {
	if most <= 0 {
		return 0
	}
	return time.Duration(lot.Int64N(int64(most) + 1))
}
