package client

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
)

// event is one Server-Sent Event.
type event struct {
	name, id string
	data     []byte
}

var errLongEvent = errors.New("the stream sends an event that is too large")

// eventReader reads a stream as the WHATWG HTML standard says (§9.2.6): lines end
// in CR, LF or both, a comment is skipped, several lines of data are joined.
type eventReader struct {
	lines *bufio.Reader
	alive func() // called for each line, comments too
	limit int    // of a line and of an event, bytes
	id    string // stays valid from one event to the next
	begun bool
	cr    bool // the line before ended in CR, so an LF that follows belongs to it
}

func newEventReader(r io.Reader, limit int, alive func()) *eventReader {
	return &eventReader{lines: bufio.NewReader(r), limit: limit, alive: alive}
}

// next returns the next event that has data. An incomplete event at the end of the stream
// is ignored.
func (r *eventReader) next() (event, error) {
	e := event{}
	hasData := false
	for {
		line, err := r.line()
		if err != nil {
			return event{}, err
		}
		r.alive()
		if len(line) == 0 {
			if hasData {
				e.id = r.id
				return e, nil
			}
			e = event{}
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "event":
			e.name = string(value)
		case "id":
			if !bytes.ContainsRune(value, 0) {
				r.id = string(value)
			}
		case "data":
			if len(e.data)+len(value) > r.limit {
				return event{}, errLongEvent
			}
			if hasData {
				e.data = append(e.data, '\n')
			}
			e.data, hasData = append(e.data, value...), true
		}
	}
}

// line returns the next line without its end.
func (r *eventReader) line() ([]byte, error) {
	var line []byte
	for {
		b, err := r.lines.ReadByte()
		if err != nil {
			return nil, err
		}
		afterCR := r.cr
		r.cr = b == '\r'
		switch {
		case b == '\n' && afterCR && len(line) == 0:
			continue
		case b == '\n' || b == '\r':
			if !r.begun {
				r.begun = true
				line = []byte(strings.TrimPrefix(string(line), "\ufeff"))
			}
			return line, nil
		case len(line) >= r.limit:
			return nil, errLongEvent
		}
		line = append(line, b)
	}
}
