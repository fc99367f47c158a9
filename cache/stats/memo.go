package stats

import "sync"

// maxRemembered bounds how many answers are remembered.
const maxRemembered = 256

// memo remembers answers until the counters change. Their makers run one after the other.
type memo struct {
	mu sync.Mutex
	of map[string]any
}

// remembered returns the answer to a question, which is made if it is asked for the first
// time.
func remembered[T any](m *memo, question string, answer func() T) T {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known, ok := m.of[question].(T); ok {
		return known
	}
	made := answer()
	if m.of == nil || len(m.of) >= maxRemembered {
		m.of = map[string]any{}
	}
	m.of[question] = made
	return made
}

func (m *memo) clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of = nil
}
