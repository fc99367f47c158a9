package main

import (
	"strings"
	"testing"
	"testing/iotest"
)

func TestResponses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text   string
		status int
		body   string
		ok     bool
	}{
		"plain":            {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, "abc", true},
		"any case":         {"HTTP/1.1 200 OK\r\ncontent-LENGTH:3\r\nX: y\r\n\r\nabc", 200, "abc", true},
		"no reason":        {"HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", 404, "", true},
		"not modified":     {"HTTP/1.1 304 Not Modified\r\nEtag: \"x\"\r\n\r\n", 304, "", true},
		"no length":        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", 0, "", false},
		"bad length":       {"HTTP/1.1 200 OK\r\nContent-Length: 3x\r\n\r\nabc", 0, "", false},
		"negative length":  {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc", 0, "", false},
		"enormous length":  {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nabc", 0, "", false},
		"body cut off":     {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", 0, "", false},
		"head cut off":     {"HTTP/1.1 200 OK\r\nContent-Le", 0, "", false},
		"another protocol": {"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", 0, "", false},
		"not a status":     {"HTTP/1.1 abc\r\nContent-Length: 0\r\n\r\n", 0, "", false},
		"nothing":          {"", 0, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newResponses(iotest.OneByteReader(strings.NewReader(c.text)))
			status, body, err := r.next()
			if status != c.status || string(body) != c.body || (err == nil) != c.ok {
				t.Errorf("got %d, %q, %v, want %d, %q, ok %v", status, body, err, c.status, c.body, c.ok)
			}
		})
	}
}

func TestResponsesAreWrittenInOrder(t *testing.T) {
	t.Parallel()
	r := newResponses(strings.NewReader("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst" +
		"HTTP/1.1 304 Not Modified\r\n\r\n" + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nxy"))
	for i, want := range []string{"first", "", "xy"} {
		if _, body, err := r.next(); err != nil || string(body) != want {
			t.Errorf("answer %d: got %q, %v, want %q", i, body, err, want)
		}
	}
	if _, _, err := r.next(); err == nil {
		t.Error("an answer after the last")
	}
}
