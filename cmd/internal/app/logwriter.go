package app

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// Bounds of what is written to the log and has not got there.
const (
	maxLogBytes = 4 << 20
	logPause    = 20 * time.Millisecond // gathers lines: a write each would cost more than a request
)

// logWriter takes log lines and writes them from a goroutine of its own. Write
// never waits: what a blocked pipe does not take is dropped and counted.
type logWriter struct {
	out   io.Writer
	wake  chan struct{}
	ended chan struct{}

	mu      sync.Mutex
	lines   []byte
	dropped int
	closed  bool
}

func newLogWriter(out io.Writer) *logWriter {
	l := &logWriter{out: out, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go l.run()
	return l
}

func (l *logWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	if len(l.lines)+len(p) > maxLogBytes || l.closed {
		l.dropped++
	} else {
		l.lines = append(l.lines, p...)
	}
	l.mu.Unlock()
	l.signal()
	return len(p), nil
}

func (l *logWriter) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *logWriter) run() {
	defer close(l.ended)
	var spare []byte
	for range l.wake {
		lines, last := l.take(spare[:0])
		_, _ = l.out.Write(lines) // there is nobody to tell
		if spare = lines; last {
			return
		}
		time.Sleep(logPause)
	}
}

// take returns what is to be written, and leaves an empty buffer in its place.
func (l *logWriter) take(empty []byte) (lines []byte, last bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines, l.lines = l.lines, empty
	if l.dropped > 0 {
		lines = fmt.Appendf(lines, "%d log lines dropped: the log did not take them\n", l.dropped)
		l.dropped = 0
	}
	return lines, l.closed
}

// Close writes what is left, for as long as limit.
func (l *logWriter) Close(limit time.Duration) {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.signal()
	select {
	case <-l.ended:
	case <-time.After(limit):
	}
}
