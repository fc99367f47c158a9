package httpapi

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

// accessLog writes a line for each request, in the form of log/slog's handlers.
// It is written by hand because a handler would cost more than the request; the
// line holds no query, no header and no body. Its writer must not block.
type accessLog struct {
	w     io.Writer // nil: no log
	json  bool
	level slog.Level // lines below it are left out

	second atomic.Pointer[second]
}

// second is a second and how it is written: most lines share theirs with the one
// before.
type second struct {
	unix int64
	text string
}

func (l *accessLog) appendTime(b []byte, t time.Time) []byte {
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

func (l *accessLog) write(x *exchange, took time.Duration) {
	if l.w == nil || x.level() < l.level {
		return
	}
	p := lines.Get().(*[]byte)
	line := line{(*p)[:0], l.json}
	line.begin(x, l)
	line.text("request", x.id[0])
	line.text("method", x.r.Method)
	line.text("path", clipped(x.r.URL.Path))
	line.number("status", int64(x.status))
	line.number("bytes", int64(x.bytes))
	line.number("micros", took.Microseconds())
	if x.caller.Owner != "" {
		line.text("caller", x.caller.Owner)
	}
	if x.failed != nil {
		line.text("error", x.failed.Error())
	}
	line.end()
	_, _ = l.w.Write(line.b) // a log that cannot be written must not fail requests
	*p = line.b
	lines.Put(p)
}

func clipped(path string) string {
	if len(path) > maxLoggedPath {
		return path[:maxLoggedPath]
	}
	return path
}

// line is one line of the log on its way.
type line struct {
	b    []byte
	json bool
}

func (l *line) begin(x *exchange, log *accessLog) {
	if l.json {
		l.b = append(l.b, `{"time":"`...)
	} else {
		l.b = append(l.b, `time=`...)
	}
	l.b = log.appendTime(l.b, x.start)
	if l.json {
		l.b = append(l.b, `","level":"`...)
	} else {
		l.b = append(l.b, ` level=`...)
	}
	l.b = append(l.b, x.level().String()...)
	if l.json {
		l.b = append(l.b, `","msg":"request"`...)
	} else {
		l.b = append(l.b, ` msg=request`...)
	}
}

func (x *exchange) level() slog.Level {
	if x.failed != nil {
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

// visible replaces what a terminal would obey or hide.
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
