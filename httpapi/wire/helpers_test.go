package wire

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// nowhere is a connection that has an address and nothing else.
type nowhere struct{ net.Conn }

func (nowhere) RemoteAddr() net.Addr            { return &net.TCPAddr{} }
func (nowhere) SetReadDeadline(time.Time) error { return nil }

// taken is a connection that was handed over.
type taken struct {
	net.Conn
	read []byte
}

// bench is a server with one connection.
type bench struct {
	*Server
	t      *testing.T
	client net.Conn
	in     *bufio.Reader
	handed chan taken
	ended  chan struct{} // closed when Serve has returned
	drain  atomic.Bool
}

// connect serves one connection with a handler; over a pipe or, with real true, over TCP.
func connect(t *testing.T, real bool, handler http.HandlerFunc) *bench {
	t.Helper()
	return connectBy(t, real, handler, func(c Conn) Conn { return c })
}

// connectBy is connect with a wrapped connection.
func connectBy(t *testing.T, real bool, handler http.HandlerFunc, within func(Conn) Conn) *bench {
	t.Helper()
	b := &bench{t: t, handed: make(chan taken, 1), ended: make(chan struct{})}
	b.Server = New(Options{
		Handler: handler, Hot: hotPrefix, Draining: &b.drain, Log: slog.New(slog.DiscardHandler),
		HandOver: func(c net.Conn, read []byte) bool { b.handed <- taken{c, read}; return true },
	})
	var socket Conn
	if real {
		socket = b.tcp()
	} else {
		b.client, socket.Conn = net.Pipe()
	}
	b.in, socket = bufio.NewReader(b.client), within(socket)
	go func() {
		defer close(b.ended)
		b.Serve(context.Background(), socket)
	}()
	t.Cleanup(func() {
		_ = b.client.Close()
		_ = socket.Close()
	})
	return b
}

// tcp connects the client over TCP.
func (b *bench) tcp() Conn {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if b.client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		b.t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		b.t.Fatal(err)
	}
	return Conn{Conn: c, Socket: c.(*net.TCPConn), Plain: true}
}

// run sweeps until the test ends.
func (b *bench) run() {
	ctx, cancel := context.WithCancel(context.Background())
	var swept sync.WaitGroup
	swept.Go(func() { _ = b.Run(ctx) })
	b.t.Cleanup(func() { cancel(); swept.Wait() })
}

// send sends text without waiting until it has been read.
func (b *bench) send(text string) {
	go func() { _, _ = io.WriteString(b.client, text) }()
}

// reply is the head of an answer.
type reply struct {
	StatusCode int
	Header     http.Header
	Close      bool
}

// next reads the next answer.
func (b *bench) next() (reply, string) {
	b.t.Helper()
	got, err := http.ReadResponse(b.in, nil)
	if err != nil {
		b.t.Fatalf("no answer: %v", err)
	}
	body, err := io.ReadAll(got.Body)
	if err != nil {
		b.t.Fatalf("answer cut off: %v", err)
	}
	_ = got.Body.Close()
	return reply{got.StatusCode, got.Header, got.Close}, string(body)
}

// mustEnd fails the test unless the client reads nothing more and the connection ends.
func (b *bench) mustEnd(what string) {
	b.t.Helper()
	b.mustEndWith(what, nil)
}

// mustEndWith is mustEnd for a connection that may also end with an error, such as a reset if
// the server has not read all.
func (b *bench) mustEndWith(what string, allowed error) {
	b.t.Helper()
	if rest, err := io.ReadAll(b.in); len(rest) > 0 || err != nil && !errors.Is(err, allowed) {
		b.t.Errorf("%s: then %q, %v", what, rest, err)
	}
	_ = b.client.Close()
	<-b.ended
}

// echo answers with what it got, and does with the body and the request what the query
// says.
func echo(w http.ResponseWriter, r *http.Request) {
	take := int64(0)
	switch r.URL.Query().Get("body") {
	case "read":
		take = r.ContentLength
	case "half":
		take = r.ContentLength / 2
	}
	body, _ := io.ReadAll(io.LimitReader(r.Body, take))
	answer := fmt.Sprintf("%s %s %s %q", r.Method, r.URL.Path, r.Header.Get("X-Request-Id"), body)
	if r.URL.Query().Get("wait") == "" {
		_, _ = io.WriteString(w, answer)
		return
	}
	out := w.(*Response)
	out.Detach(waitingFor(func() { _, _ = io.WriteString(out, answer) }))
}

// waits is a request that waits.
type waits struct {
	step   func() (waits bool)
	hangUp func()
}

func (w waits) Continue() bool { return w.step() }
func (w waits) HangUp()        { w.hangUp() }

// waitingFor is a request that is answered in one step.
func waitingFor(answer func()) Waiting {
	return waits{func() bool { answer(); return false }, func() {}}
}

// some is a request that echo answers, with its answer.
type some struct{ text, want string }

// numbered returns requests of every kind that is answered here, numbered from first.
func numbered(first int) (all []some) {
	add := func(text, want string) {
		id := fmt.Sprint("id-", first+len(all))
		all = append(all, some{strings.ReplaceAll(text, "ID", id), strings.ReplaceAll(want, "ID", id)})
	}
	const inner = "GET /inner HTTP/1.1\r\nHost: x\r\n\r\n" // a body that looks like a request
	add("GET /v1/status/ID HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer y\r\nX-Request-Id: ID\r\n\r\n", `GET /v1/status/ID ID ""`)
	add("GET /other/ID HTTP/1.1\r\nHost: x\r\nX-Request-Id: ID\r\n\r\n", `GET /other/ID ID ""`)
	add("GET /waits?wait=1 HTTP/1.1\r\nHost: x\r\nX-Request-Id: ID\r\n\r\n", `GET /waits ID ""`)
	add("GET /v1/status/ID HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer y\r\nContent-Length: 0\r\nX-Request-Id: ID\r\n\r\n", `GET /v1/status/ID ID ""`)
	for _, does := range []string{"read", "half", "nothing"} {
		text := fmt.Sprintf(" /posted?body=%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nX-Request-Id: ID\r\n\r\n%s", does, len(inner), inner)
		seen := map[string]string{"read": inner, "half": inner[:len(inner)/2]}[does]
		add("POST"+text, fmt.Sprintf("POST /posted ID %q", seen))
		add("GET"+text, fmt.Sprintf("GET /posted ID %q", seen)) // a body of a GET is a body
	}
	add(fmt.Sprintf("POST /waits?wait=1&body=read HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nX-Request-Id: ID\r\n\r\n%s", len(inner), inner),
		fmt.Sprintf("POST /waits ID %q", inner))
	add(fmt.Sprintf("POST /waits?wait=1 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nX-Request-Id: ID\r\n\r\n%s", len(inner), inner), `POST /waits ID ""`)
	return all
}
