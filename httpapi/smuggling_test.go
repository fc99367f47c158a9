package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"statuscache/cache/cachetest"
)

// TestHostileBytesReachNoOtherClient: eve sends bytes that a proxy and a server could read in
// two ways. They contain another request of hers, complete or only begun. The proxy may pass on
// any part of them, over connections that also carry ada's requests. Each of ada's answers must
// be hers, and eve must get nothing of ada's.
func TestHostileBytesReachNoOtherClient(t *testing.T) {
	t.Parallel()
	for _, proxy := range sharedFronts(t) {
		t.Run(proxy.program, func(t *testing.T) {
			t.Parallel()
			s := newService(t, func(o *Options) { o.RateLimit = 0 })
			e := succeeded(t, "of-ada", "ada", `"secret of ada"`)
			hers := succeeded(t, "of-eve", "eve", `"for eve"`)
			s.apply(e, hers)
			victim := tenant{s.key("ada"), string(e.ARN)}
			attacker := tenant{s.key("eve"), string(hers.ARN)}
			for _, wrong := range attack(t, proxy.start(t, strings.TrimPrefix(s.url, "http://")), attacker, victim, hostileFraming) {
				t.Error(wrong)
			}
		})
	}
}

// TestAServerThatIgnoresLengthsIsCaught is the control: behind each proxy it answers ada with
// what eve has asked for.
func TestAServerThatIgnoresLengthsIsCaught(t *testing.T) {
	t.Parallel()
	for _, proxy := range sharedFronts(t) {
		t.Run(proxy.program, func(t *testing.T) {
			t.Parallel()
			l := listenLocal(t)
			t.Cleanup(func() { _ = l.Close() })
			go serveNaively(l)
			addr := proxy.start(t, l.Addr().String())
			if len(attack(t, addr, tenant{"eve", "of-eve"}, tenant{"ada", "of-ada"}, hostileFraming[:1])) == 0 {
				t.Error("nothing was noticed")
			}
		})
	}
}

// sharedFront is a proxy that sends the requests of several clients over the same connection.
type sharedFront struct {
	program string
	config  string
	args    []string
}

func sharedFronts(t *testing.T) []sharedFront {
	t.Helper()
	cachetest.SkipShort(t, "nginx, HAProxy and Apache")
	if runtime.GOOS != "linux" {
		t.Skip("the configurations are for Debian's builds")
	}
	return []sharedFront{
		{"nginx", nginxConfig, []string{"-p", "DIR", "-e", "stderr", "-c", "CONFIG"}},
		{"haproxy", haproxyConfig + " http-reuse always\n", []string{"-db", "-f", "CONFIG"}},
		{"apache2", apacheConfig, []string{"-D", "FOREGROUND", "-f", "CONFIG"}},
	}
}

func (f sharedFront) start(t *testing.T, service string) (addr string) {
	t.Helper()
	port := cachetest.FreePort(t)
	config := strings.NewReplacer("SERVICE", service, "PORT0", strconv.Itoa(port), "PORT1", strconv.Itoa(cachetest.FreePort(t))).Replace(f.config)
	startFront(t, f.program, config, port, f.args...)()
	return "127.0.0.1:" + strconv.Itoa(port)
}

// tenant is a caller with one execution.
type tenant struct{ token, arn string }

func (n tenant) poll(id, more string) string {
	return "GET " + statusPath + n.arn + " HTTP/1.1\r\nHost: x\r\nX-Request-Id: " + id + "\r\nAuthorization: Bearer " + n.token + "\r\n" + more + "\r\n"
}

// attack sends all hostile bytes through a proxy, while the victim polls her execution, and
// returns what was wrong with the answers to both.
func attack(t *testing.T, addr string, attacker, victim tenant, framing [][2]string) (wrong []string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var (
		mu     sync.Mutex
		asking sync.WaitGroup
	)
	note := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		wrong = append(wrong, err.Error())
	}
	for n := range 2 { // all the time
		asking.Go(func() {
			pace := time.NewTicker(20 * time.Millisecond) // leaves the processor to the others
			defer pace.Stop()
			for i := 0; ctx.Err() == nil; i++ {
				<-pace.C
				if err := victim.askThrough(addr, fmt.Sprintf("ada-%d.%d", n, i)); err != nil {
					note(err)
				}
			}
		})
	}
	for i, text := range hostileBytes(attacker, framing) {
		got := sendHostile(t, addr, text)
		if bytes.Contains(got, []byte(victim.arn)) || bytes.Contains(got, []byte("ada-")) || bytes.Contains(got, []byte("secret")) { // "ada" alone may stand in a random id
			note(fmt.Errorf("%.300q gets %.1000q", text, got))
		}
		for n := range 3 { // right behind it
			if err := victim.askThrough(addr, fmt.Sprintf("ada-behind-%d.%d", i, n)); err != nil {
				note(fmt.Errorf("behind %.400q: %w", text, err))
			}
		}
	}
	stop()
	asking.Wait()
	return wrong
}

// askThrough polls twice over one connection to a proxy.
func (n tenant) askThrough(addr, id string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(askLimit))
	in := bufio.NewReader(c)
	for i, more := range []string{"", "Connection: close\r\n"} {
		id := fmt.Sprint(id, "-", i)
		if _, err := io.WriteString(c, n.poll(id, more)); err != nil {
			return err
		}
		got, err := http.ReadResponse(in, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		body, err := io.ReadAll(got.Body)
		_ = got.Body.Close()
		if said := got.Header.Get("X-Request-Id"); err != nil || got.StatusCode != 200 || said != id || !bytes.Contains(body, []byte(n.arn)) {
			return fmt.Errorf("%s: %d, the answer to %s: %.300s %w", id, got.StatusCode, said, body, err)
		}
	}
	return nil
}

// silent is how long a proxy says nothing when it waits for more.
const silent = 100 * time.Millisecond

// sendHostile sends bytes and returns what comes back, until the proxy closes the connection
// or is silent: some bytes make it wait for more.
func sendHostile(t *testing.T, addr, text string) (all []byte) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	go func() { _, _ = io.WriteString(c, text) }() // it may not be taken to its end
	for b := make([]byte, 16<<10); ; {
		_ = c.SetReadDeadline(time.Now().Add(silent))
		n, err := c.Read(b)
		if all = append(all, b[:n]...); err != nil {
			return all
		}
	}
}

// hostileBytes are requests, each with another one within it that must not be seen: a whole
// one, with a last one behind; or the beginning of one, for which the next request on the
// connection would be the rest.
func hostileBytes(n tenant, framing [][2]string) (all []string) {
	complete, last := n.poll("eve-inner", ""), n.poll("eve-last", "Connection: close\r\n")
	begun := strings.TrimSuffix(complete, "\r\n") + "X-Rest: "
	for _, each := range framing {
		for _, line := range []string{"POST /v1/status", "GET " + statusPath + n.arn} {
			all = append(all, nested(n, line, each, complete)+last, nested(n, line, each, begun))
		}
	}
	return all
}

// nested is a request with a body in which another one stands.
func nested(n tenant, line string, framing [2]string, inner string) string {
	body := strings.ReplaceAll(framing[1], "INNER", inner)
	version, fields, found := strings.Cut(framing[0], "|")
	if !found {
		version, fields = "HTTP/1.1", framing[0]
	}
	fields = strings.NewReplacer("LENGTH", strconv.Itoa(len(body)), "LESS", strconv.Itoa(len(body)-len(inner)), "\n", "\r\n", "\f", "\n").Replace(fields)
	return line + " " + version + "\r\nHost: x\r\nX-Request-Id: eve\r\nAuthorization: Bearer " + n.token +
		"\r\nContent-Type: application/json\r\n" + fields + "\r\n\r\n" + body
}

// hostileFraming is what a head says about the length of a body, and that body. \n stands
// for CRLF in a head and \f for a bare LF; what is in front of | is the version.
var hostileFraming = [][2]string{
	{"Content-Length: LENGTH", "INNER"}, // a body as any other: nobody may read it as a request
	{"Content-Length: LENGTH\nTransfer-Encoding: chunked", "0\r\n\r\nINNER"},
	{"Transfer-Encoding: chunked\nContent-Length: LENGTH", "0\r\n\r\nINNER"},
	{"Content-Length: LESS\nTransfer-Encoding: chunked", "0\r\n\r\nINNER"},
	{"Content-Length: LENGTH\nTransfer-Encoding : chunked", "0\r\n\r\nINNER"},
	{"Content-Length: LENGTH\nTransfer-Encoding:\tchunked", "0\r\n\r\nINNER"},
	{"Content-Length: LENGTH\nTransfer-Encoding: \vchunked", "0\r\n\r\nINNER"},
	{"Content-Length: LENGTH\nTransfer-Encoding: xchunked", "0\r\n\r\nINNER"},
	{"Content-Length: LENGTH\nTransfer-Encoding: identity", "0\r\n\r\nINNER"},
	{"Content-Length: LENGTH\nTransfer-Encoding: chunked, identity", "0\r\n\r\nINNER"},
	{"Content-Length: LENGTH\nTransfer-Encoding: gzip, chunked", "0\r\n\r\nINNER"},
	{"Content-Length: LENGTH\nTransfer-Encoding: \"chunked\"", "0\r\n\r\nINNER"},
	{"Content-Length: LENGTH\nTransfer-Encoding: x\nTransfer-Encoding: chunked", "0\r\n\r\nINNER"},
	{"Content-Length: LENGTH\nTransfer-Encoding:\n chunked", "0\r\n\r\nINNER"},
	{"Content-Length: LENGTH\nTransfer_Encoding: chunked", "0\r\n\r\nINNER"},
	{"Content-Length: LENGTH\nX: y\fTransfer-Encoding: chunked", "0\r\n\r\nINNER"},
	{"Content-Length: LENGTH\nX: y\rTransfer-Encoding: chunked", "0\r\n\r\nINNER"},
	{"Content-Length: LENGTH\nX: \x00\nTransfer-Encoding: chunked", "0\r\n\r\nINNER"},
	{"Transfer-Encoding: CHUNKED", "0\r\n\r\nINNER"},
	{"Transfer-Encoding: chunked\nTransfer-Encoding: chunked", "0\r\n\r\nINNER"},
	{"Content-Length: 0\nContent-Length: LENGTH", "INNER"},
	{"Content-Length: LENGTH\nContent-Length: 0", "INNER"},
	{"Content-Length: LENGTH\nContent-Length: LENGTH", "INNER"},
	{"Content-Length: 0, LENGTH", "INNER"},
	{"Content-Length: +LENGTH", "INNER"},
	{"Content-Length: -1", "INNER"},
	{"Content-Length: 0LENGTH", "INNER"},
	{"Content-Length: 0x0", "INNER"},
	{"Content-Length: 18446744073709551616", "INNER"},
	{"Content-Length : LENGTH", "INNER"},
	{"Content_Length: LENGTH", "INNER"},
	{"X: y\n Content-Length: LENGTH", "INNER"},
	{"X: y\fContent-Length: LENGTH", "INNER"},
	{"Connection: Content-Length\nContent-Length: LENGTH", "INNER"},
	{"Connection: Transfer-Encoding\nTransfer-Encoding: chunked", "0\r\n\r\nINNER"},
	{"Connection: keep-alive, X-Request-Id, Authorization, Host\nContent-Length: LENGTH", "INNER"},
	{"Expect: 100-continue\nContent-Length: LENGTH", "INNER"},
	{"Upgrade: h2c\nConnection: Upgrade, HTTP2-Settings\nHTTP2-Settings: AAMAAABkAAQAAP__", "INNER"},
	{"Upgrade: websocket\nConnection: Upgrade\nContent-Length: LENGTH", "INNER"},
	{"Transfer-Encoding: chunked", "0\r\nContent-Length: 5\r\nHost: y\r\nX-Request-Id: eve-trailer\r\n\r\nINNER"},
	{"Transfer-Encoding: chunked", "2;x=\"\r\n{}\r\n0\r\n\r\nINNER"},
	{"Transfer-Encoding: chunked", "2;x\nab\r\n0\r\n\r\nINNER"},
	{"Transfer-Encoding: chunked", "2\n{}\n0\n\nINNER"},
	{"Transfer-Encoding: chunked", "0x2\r\n{}\r\n0\r\n\r\nINNER"},
	{"Transfer-Encoding: chunked", "+2\r\n{}\r\n0\r\n\r\nINNER"},
	{"Transfer-Encoding: chunked", "2 \r\n{}\r\n0\r\n\r\nINNER"},
	{"Transfer-Encoding: chunked", "10000000000000002\r\n{}\r\n0\r\n\r\nINNER"},
	{"Transfer-Encoding: chunked", "2\r\n{}INNER\r\n0\r\n\r\n"},
	{"Transfer-Encoding: chunked", "0\r\nINNER"},
	{"Host: y\nContent-Length: LENGTH", "INNER"},
	{" HTTP/1.1|Content-Length: LENGTH", "INNER"},
	{"HTTP/1.1 |Content-Length: LENGTH", "INNER"},
	{"x HTTP/1.1|Content-Length: LENGTH", "INNER"},
	{"HTTP/1.0|Connection: keep-alive\nContent-Length: LENGTH", "INNER"},
	{"HTTP/1.0|Connection: keep-alive\nTransfer-Encoding: chunked", "0\r\n\r\nINNER"},
	{"HTTP/1.0|Connection: keep-alive\nContent-Length: LENGTH\nTransfer-Encoding: chunked", "0\r\n\r\nINNER"},
	{"HTTP/1.10|Content-Length: LENGTH", "INNER"},
	{"HTTP/2.0|Content-Length: LENGTH", "INNER"},
	{"|", "INNER"}, // HTTP/0.9
}

// serveNaively answers every head as a request, and ignores lengths.
func serveNaively(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = c.Close() }()
			var target, id string
			for lines := bufio.NewScanner(c); lines.Scan(); {
				switch line := lines.Text(); {
				case target == "":
					target = line
				case id == "" && strings.HasPrefix(strings.ToLower(line), "x-request-id: "):
					id = line
				case line == "":
					_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\n%s\r\nContent-Length: %d\r\n\r\n%s", id, len(target), target)
					target, id = "", ""
				}
			}
		}()
	}
}
