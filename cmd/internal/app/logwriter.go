package app

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Bounds of the lines that wait for the log.
const (
	maxLogBytes = 4 << 20
	logPause    = 20 * time.Millisecond // collects lines, because one write per line would cost more than a request
)

// logWriter collects log lines and writes them from a separate goroutine. Write never
// waits: if the pipe is blocked or its reader has stopped, lines are dropped and counted.
type logWriter struct {
	out   io.Writer
	lost  prometheus.Counter // lines
	wake  chan struct{}
	ended chan struct{}

	mu      sync.Mutex
	lines   []byte
	dropped int // dropped lines that are not reported yet
	closed  bool
}

func newLogWriter(out io.Writer) *logWriter {
	l := &logWriter{out: out, wake: make(chan struct{}, 1), ended: make(chan struct{}), lost: prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: "statuscache", Name: "log_lines_dropped_total", Help: "Log lines that were dropped because the log was too slow.",
	})}
	go l.run()
	return l
}

func (l *logWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	if len(l.lines)+len(p) > maxLogBytes || l.closed {
		l.drop(1)
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
		if n, err := l.out.Write(lines); err != nil {
			l.lose(lines[n:])
		}
		if spare = lines; last {
			return
		}
		time.Sleep(logPause)
	}
}

// drop counts dropped lines. The caller holds the lock.
func (l *logWriter) drop(lines int) {
	l.dropped += lines
	l.lost.Add(float64(lines))
}

// lose counts lines that could not be written.
func (l *logWriter) lose(lines []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(bytes.Count(lines, []byte("\n")))
}

// take returns the lines to write, and leaves an empty buffer.
func (l *logWriter) take(empty []byte) (lines []byte, last bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines, l.lines = l.lines, empty
	if l.dropped > 0 {
		lines = fmt.Appendf(lines, "%d log lines dropped: the log output was blocked or failed\n", l.dropped)
		l.dropped = 0
	}
	return lines, l.closed
}

// Close writes the remaining lines, for at most limit.
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
