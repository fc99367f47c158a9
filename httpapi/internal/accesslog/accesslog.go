// Package accesslog writes a line for each request.
package accesslog

import (
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
)

// Log writes a line for each request, in the form of the handlers of log/slog. It does
// not use them because a handler would cost more than the request. A line has no query,
// no header and no body. The writer must not block.
type Log struct {
	w     io.Writer // nil: no log
	json  bool
	level slog.Level // lines below it are left out

	second atomic.Pointer[second]
}

// New returns a log that writes JSON or text to w, or nothing if w is nil. It leaves out
// lines below level: a request is INFO, a failed request WARN.
func New(w io.Writer, asJSON bool, level slog.Level) *Log {
	return &Log{w: w, json: asJSON, level: level}
}

// Request has the fields of a line.
type Request struct {
	Start  time.Time
	Took   time.Duration
	ID     string
	Method string
	Path   string
	Status int
	Bytes  int    // of the body
	Caller string // empty: not known
	Failed error  // why the service failed; nil: it did not fail

	TraceID, SpanID string // of the request; empty: it is not traced
}

// second is a second and its text, because most lines have the same second as the
// previous one.
type second struct {
	unix int64
	text string
}

func (l *Log) appendTime(b []byte, t time.Time) []byte {
	s := l.second.Load()
	if unix := t.Unix(); s == nil || s.unix != unix {
		s = &second{unix, t.UTC().Format("2006-01-02T15:04:05.")}
		l.second.Store(s)
	}
	ms := t.Nanosecond() / int(time.Millisecond)
	return append(append(b, s.text...), byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), 'Z')
}

const maxLoggedPath = 512 // bytes

var lines = sync.Pool{New: func() any { return new([]byte) }}

// Write writes the line of a request.
func (l *Log) Write(r *Request) {
	if l.w == nil || r.level() < l.level {
		return
	}
	p := lines.Get().(*[]byte)
	line := line{(*p)[:0], l.json}
	line.begin(r, l)
	line.text("request", r.ID)
	line.text("method", r.Method)
	line.text("path", clipped(r.Path))
	line.number("status", int64(r.Status))
	line.number("bytes", int64(r.Bytes))
	line.number("micros", r.Took.Microseconds())
	if r.Caller != "" {
		line.text("caller", r.Caller)
	}
	if r.TraceID != "" {
		line.text("trace_id", r.TraceID)
		line.text("span_id", r.SpanID)
	}
	if r.Failed != nil {
		line.text("error", r.Failed.Error())
	}
	line.end()
	_, _ = l.w.Write(line.b) // a failing log must not make requests fail
	*p = line.b
	lines.Put(p)
}

func clipped(path string) string {
	if len(path) > maxLoggedPath {
		return path[:maxLoggedPath]
	}
	return path
}

// line is one line of the log that is being written.
type line struct {
	b    []byte
	json bool
}

func (l *line) begin(r *Request, log *Log) {
	if l.json {
		l.b = append(l.b, `{"time":"`...)
	} else {
		l.b = append(l.b, `time=`...)
	}
	l.b = log.appendTime(l.b, r.Start)
	if l.json {
		l.b = append(l.b, `","level":"`...)
	} else {
		l.b = append(l.b, ` level=`...)
	}
	l.b = append(l.b, r.level().String()...)
	if l.json {
		l.b = append(l.b, `","msg":"request"`...)
	} else {
		l.b = append(l.b, ` msg=request`...)
	}
}

func (r *Request) level() slog.Level {
	if r.Failed != nil {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

func (l *line) key(key string) {
	if l.json {
		l.b = append(l.b, `,"`...)
		l.b = append(l.b, key...)
		l.b = append(l.b, `":`...)
		return
	}
	l.b = append(l.b, ' ')
	l.b = append(l.b, key...)
	l.b = append(l.b, '=')
}

func (l *line) text(key, value string) {
	l.key(key)
	switch simple := plain(value); {
	case simple && l.json:
		l.b = append(append(append(l.b, '"'), value...), '"')
	case simple:
		l.b = append(l.b, value...)
	default:
		l.b, _ = jsontext.AppendQuote(l.b, strings.Map(visible, value)) // replaces what is not UTF-8
	}
}

func (l *line) number(key string, value int64) {
	l.key(key)
	l.b = strconv.AppendInt(l.b, value, 10)
}

func (l *line) end() {
	if l.json {
		l.b = append(l.b, '}')
	}
	l.b = append(l.b, '\n')
}

// visible replaces characters that a terminal would interpret or hide.
func visible(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return unicode.ReplacementChar
}

// plain reports whether a value of the text form needs no quotes.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\' {
			return false
		}
	}
	return s != ""
}
