package httpapi

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"statuscache/cache/cachetest"
)

// elsewhere is a listener whose connections seem to come from a given address.
type elsewhere struct {
	net.Listener
	addr atomic.Pointer[net.TCPAddr]
}

func (l *elsewhere) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return movedConn{c, l.addr.Load()}, err
}

type movedConn struct {
	net.Conn
	addr net.Addr
}

func (c movedConn) RemoteAddr() net.Addr { return c.addr }

// connect opens a connection as if it came from an address, and reports whether it is
// served. It is kept.
func (l *elsewhere) connect(t *testing.T, ip string, port int) (net.Conn, bool) {
	t.Helper()
	l.addr.Store(&net.TCPAddr{IP: net.ParseIP(ip), Port: port})
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(askLimit))
	_, _ = io.WriteString(c, "GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
	got, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return c, false
	}
	_ = got.Body.Close()
	return c, true
}

// TestOneClientCannotTakeAllConnections: an address of the public internet may have as many
// connections as are left for all others. A proxy has no bound, because all clients connect
// through it.
func TestOneClientCannotTakeAllConnections(t *testing.T) {
	t.Parallel()
	const bound = 40
	for _, client := range []struct {
		same  func(n int) string
		bound int
	}{
		{func(int) string { return "203.0.113.7" }, bound / 2},
		{func(n int) string { return fmt.Sprintf("2001:db8:0:1::%x", n+1) }, bound / 2}, // of one network
		{func(int) string { return "127.0.0.1" }, 2 * bound},
		{func(int) string { return "10.1.2.3" }, 2 * bound},
		{func(int) string { return "fd00::1" }, 2 * bound},
		{func(int) string { return "100.64.1.1" }, 2 * bound},
	} {
		s := newService(t, func(o *Options) { o.Limits.Files = bound + bound/2 })
		l := &elsewhere{Listener: listenLocal(t)}
		s.serveOn(l)
		var open []net.Conn
		for n := range client.bound {
			c, ok := l.connect(t, client.same(n), 1000+n)
			if !ok {
				t.Fatalf("%s: only %d connections", client.same(n), n)
			}
			open = append(open, c)
		}
		if client.bound > bound {
			continue
		}
		if _, ok := l.connect(t, client.same(bound), 2000); ok {
			t.Errorf("%s: more than %d connections", client.same(0), client.bound)
		}
		if _, ok := l.connect(t, "198.51.100.1", 2001); !ok {
			t.Errorf("beside %s another client gets no connection", client.same(0))
		}
		_ = open[0].Close()
		_ = open[1].Close() // one for the other client
		cachetest.Eventually(t, "a connection is free again", func() bool {
			_, ok := l.connect(t, client.same(bound), 2002)
			return ok
		})
	}
}

// TestNothingIsReadBehindARequestOfHTTP10, because a proxy may have found another end of the
// request than net/http.
func TestNothingIsReadBehindARequestOfHTTP10(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for _, head := range []string{
		"GET /v1/health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
		"GET /v1/health HTTP/1.0\nConnection: keep-alive\nTransfer-Encoding: chunked\n\n0\r\n\r\n",
		"POST /v1/status HTTP/1.0\nConnection: keep-alive\nContent-Length: 5\nTransfer-Encoding: chunked\n\n0\r\n\r\n",
	} {
		c, err := net.Dial("tcp", s.url[len("http://"):])
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(askLimit))
		_, _ = io.WriteString(c, head+aRequest)
		in := bufio.NewReader(c)
		got, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, got.Body)
		_ = got.Body.Close()
		if rest, _ := io.ReadAll(in); len(rest) > 0 || !got.Close {
			t.Errorf("%q: close %v, then %q", head, got.Close, rest)
		}
		_ = c.Close()
	}
}
