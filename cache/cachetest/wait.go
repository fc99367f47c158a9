package cachetest

import (
	"bytes"
	"sync"
	"testing"
	"time"
)

// Eventually returns when met reports true, and fails the test if that takes
// longer than the limit.
func Eventually(t testing.TB, limit time.Duration, what string, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); {
		if met() {
			return
		}
		pause()
	}
	t.Fatalf("not within %v: %s", limit, what)
}

// pause waits a moment before a condition is looked at again.
func pause() { <-time.After(2 * time.Millisecond) }

// lockedBuffer takes what a child process prints.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
