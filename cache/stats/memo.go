package stats

import "sync"

// maxRemembered is how many answers are remembered: enough for the answers about each of
// some hundred state machines.
const maxRemembered = 1024

// memo remembers answers. When the counters have changed, the answers that were requested
// since the previous change are computed again in the background.
type memo struct {
	making sync.Mutex // answers are made one after the other; it is locked before mu
	mu     sync.Mutex
	of     map[string]*remembering
}

type remembering struct {
	answer any
	again  func() any
	asked  bool // since it was made
}

// remembered returns the answer to a question. It computes the answer if it is requested for
// the first time.
func remembered[T any](m *memo, question string, answer func() T) T {
	if known, ok := m.get(question); ok {
		return known.(T)
	}
	m.making.Lock()
	defer m.making.Unlock()
	if known, ok := m.get(question); ok {
		return known.(T)
	}
	made := answer()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of == nil || len(m.of) >= maxRemembered {
		m.of = map[string]*remembering{}
	}
	m.of[question] = &remembering{answer: made, again: func() any { return answer() }, asked: true}
	return made
}

func (m *memo) get(question string) (answer any, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.of[question]
	if known == nil {
		return nil, false
	}
	known.asked = true
	return known.answer, true
}

// renew computes the answers again that were requested, and drops the others.
func (m *memo) renew() {
	m.mu.Lock()
	var wanted []*remembering
	for question, known := range m.of {
		if known.asked {
			wanted = append(wanted, known)
		} else {
			delete(m.of, question)
		}
	}
	m.mu.Unlock()
	for _, known := range wanted {
		m.renewOne(known)
	}
}

func (m *memo) renewOne(known *remembering) {
	m.making.Lock() // lock for each answer, so that a caller with a new question waits for only one answer
	defer m.making.Unlock()
	made := known.again()
	m.mu.Lock()
	defer m.mu.Unlock()
	known.answer, known.asked = made, false
}
