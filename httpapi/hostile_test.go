package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"statuscache/cache/cachetest"
)

// slowlyDoes are ways to keep a connection busy and do nothing with it.
var slowlyDoes = map[string]struct {
	connections int
	request     func(arn, key string) string
}{
	"slowloris": {2000, func(arn, _ string) string { return "GET " + statusPath + arn + " HTTP/1.1\r\nHost: x\r\nX-A: " }},
	"slow readers": {200, func(arn, key string) string { // of many large answers, which no buffer holds
		return strings.Repeat("GET "+statusPath+arn+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+key+"\r\n\r\n", 40)
	}},
	"huge headers": {50, func(arn, key string) string {
		return "GET " + statusPath + arn + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + key + "\r\nX-A: " + strings.Repeat("x", 40<<10) + "\r\n\r\n"
	}},
	"slow bodies": {100, func(_, key string) string {
		return "POST /v1/wait?wait=20 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + key + "\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
	}},
}

// TestASlowClientIsDisconnected: nobody holds a connection without using it, and others are
// served meanwhile. The control is a server without bounds. TestAClientThatDoesNotReadIsDisconnected
// says how soon.
func TestASlowClientIsDisconnected(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "many seconds")
	s := newService(t, func(o *Options) { o.RateLimit = 0 })
	e := succeeded(t, "large", "ada", `"`+strings.Repeat("x", 500_000)+`"`)
	small := succeeded(t, "small", "ada", "1")
	s.apply(e, small)
	ada := s.key("ada")
	addr := strings.TrimPrefix(s.url, "http://")

	unbounded, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	control := &http.Server{Handler: s.Handler()}
	go func() { _ = control.Serve(unbounded) }()
	t.Cleanup(func() { _ = control.Close() })
	kept := openSlow(t, unbounded.Addr().String(), slowlyDoes["slowloris"].request(string(e.ARN), ada))

	for name, does := range slowlyDoes {
		conns := make([]net.Conn, does.connections)
		for i := range conns {
			conns[i] = openSlow(t, addr, does.request(string(e.ARN), ada))
		}
		ctx, stop := context.WithCancel(t.Context())
		var served sync.WaitGroup
		served.Go(func() {
			pace := time.NewTicker(50 * time.Millisecond) // leaves the processor to the others
			defer pace.Stop()
			for ; ctx.Err() == nil; <-pace.C {
				if got := s.ask("GET", statusPath+string(small.ARN), ada); got.status != 200 {
					t.Errorf("%s: meanwhile another client: %d", name, got.status)
					return
				}
			}
		})
		if name == "slow readers" { // the bytes on their way are in the kernel, so only the log shows it
			cachetest.Eventually(t, "all answers are given up", func() bool {
				return strings.Count(s.log.String(), "i/o timeout") >= does.connections
			})
		}
		var released sync.WaitGroup
		for i, c := range conns {
			released.Go(func() {
				if name == "slow readers" {
					_ = c.Close()
					return
				}
				_ = c.SetReadDeadline(time.Now().Add(askLimit))
				if _, err := io.Copy(io.Discard, c); timedOut(err) {
					t.Errorf("%s: connection %d is kept", name, i)
				}
			})
		}
		released.Wait()
		stop()
		served.Wait()
	}
	_ = kept.SetReadDeadline(time.Now().Add(time.Second))
	if _, err := kept.Read(make([]byte, 1)); !timedOut(err) {
		t.Errorf("the control: without bounds the connection should stay open: %v", err)
	}
}

func openSlow(t *testing.T, addr, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(4 << 10) // no more than this is taken
	}
	if _, err := fmt.Fprint(c, text); err != nil {
		t.Fatal(err)
	}
	return c
}

func timedOut(err error) bool {
	var late net.Error
	return errors.As(err, &late) && late.Timeout()
}
