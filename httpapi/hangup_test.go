package httpapi

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"statuscache/cache/cachetest"
	"statuscache/httpapi/internal/envelope"
)

// TestADisconnectEndsAWait: when a client disconnects, its wait ends, whatever the client sent
// before and however long the wait is.
func TestADisconnectEndsAWait(t *testing.T) {
	t.Parallel()
	const another = "GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, leave := range map[string]func(c *net.TCPConn) error{
		"closes":        func(c *net.TCPConn) error { return c.Close() },
		"half-closes":   func(c *net.TCPConn) error { return c.CloseWrite() },
		"resets":        func(c *net.TCPConn) error { _ = c.SetLinger(0); return c.Close() },
		"one more byte": func(c *net.TCPConn) error { _, _ = io.WriteString(c, "G"); return c.Close() },
		"one more byte, then a reset": func(c *net.TCPConn) error {
			_, _ = io.WriteString(c, "\n")
			_ = c.SetLinger(0)
			return c.Close()
		},
		"a whole request":              func(c *net.TCPConn) error { _, _ = io.WriteString(c, another); return c.Close() },
		"a request, half-closed":       func(c *net.TCPConn) error { _, _ = io.WriteString(c, another); return c.CloseWrite() },
		"many requests":                func(c *net.TCPConn) error { _, _ = io.WriteString(c, strings.Repeat(another, 20)); return c.Close() },
		"more than is read beforehand": func(c *net.TCPConn) error { _, _ = io.WriteString(c, strings.Repeat(another, 1000)); return c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, func(o *Options) { o.MaxWait, o.RateLimit = time.Hour, 0 })
			e := running(t, "poll", "ada")
			s.apply(e)
			head := fmt.Sprintf("GET %s%s?wait=3600 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n", statusPath, e.ARN, s.key("ada"))
			for _, accept := range []string{"*/*", envelope.EventStreamMedia} {
				const clients = 20
				conns := make([]*net.TCPConn, clients)
				for i := range conns {
					conns[i] = openSlow(t, strings.TrimPrefix(s.url, "http://"), head+"Accept: "+accept+"\r\n\r\n").(*net.TCPConn)
				}
				s.untilWaiting(clients)
				for _, c := range conns {
					if err := leave(c); err != nil {
						t.Fatal(err)
					}
				}
				cachetest.Eventually(t, "no request waits any more", func() bool { return s.waiters.Count() == 0 })
			}
		})
	}
}

// TestManyPipelinedRequestsAreAnswered: a client that sends many requests after one that waits
// gets all answers, in order, when the wait is over.
func TestManyPipelinedRequestsAreAnswered(t *testing.T) {
	t.Parallel()
	s := newService(t, func(o *Options) { o.MaxWait, o.RateLimit = time.Hour, 0 })
	e := running(t, "poll", "ada")
	s.apply(e)
	const more = 500
	c := openSlow(t, strings.TrimPrefix(s.url, "http://"), fmt.Sprintf(
		"GET %s%s?wait=3600 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", statusPath, e.ARN, s.key("ada"))+
		strings.Repeat("GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n", more))
	s.untilWaiting(1)
	end := succeeded(t, "poll", "ada", "1")
	end.StartDate, end.StopDate = e.StartDate, e.StartDate.Add(time.Second)
	s.apply(end)
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	r := bufio.NewReader(c)
	for i := range more + 1 {
		got, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		body, err := io.ReadAll(got.Body)
		_ = got.Body.Close()
		if want := map[bool]string{true: "SUCCEEDED", false: `"status":"ok"`}[i == 0]; err != nil || !strings.Contains(string(body), want) {
			t.Fatalf("answer %d: %s, %v", i, body, err)
		}
	}
}
