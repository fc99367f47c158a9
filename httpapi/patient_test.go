package httpapi

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// pipeListener accepts one connection, whose other end is the client's.
type pipeListener struct {
	conn   chan net.Conn
	closed chan struct{}
	once   *sync.Once
}

func (l pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// preopened runs a test in a bubble of time, against a server with the bounds of
// production and a client that has just connected.
func preopened(t *testing.T, wrap func(net.Listener) net.Listener, test func(t *testing.T, client net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		theirs, ours := net.Pipe()
		l := pipeListener{make(chan net.Conn, 1), make(chan struct{}), &sync.Once{}}
		l.conn <- ours
		server := hardened(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }), slog.New(slog.DiscardHandler))
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = server.Serve(wrap(l))
		}()
		test(t, theirs)
		_ = theirs.Close()
		_ = server.Close()
		<-ended
	})
}

func patient(l net.Listener) net.Listener {
	return patientListener{Listener: newDoor(l, newAcceptErrors(slog.New(slog.DiscardHandler), prometheus.NewRegistry()), 0)}
}

const aRequest = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

// answeredAfter is a request after a silence, and the status line of its answer.
func answeredAfter(client net.Conn, silence time.Duration) (string, error) {
	<-time.After(silence)
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(client, aRequest)
		sent <- err
	}()
	line, err := bufio.NewReader(client).ReadString('\n')
	return line, errors.Join(err, <-sent)
}

func TestAConnectionOpenedAheadOfNeedMayBeIdle(t *testing.T) {
	t.Parallel()
	for _, silence := range []time.Duration{0, 4 * time.Second, 5200 * time.Millisecond, 30 * time.Second, 74 * time.Second} {
		preopened(t, patient, func(t *testing.T, client net.Conn) {
			if line, err := answeredAfter(client, silence); err != nil || !strings.Contains(line, "200") {
				t.Errorf("after %v: %q, %v", silence, line, err)
			}
		})
	}
	preopened(t, patient, func(t *testing.T, client net.Conn) {
		if line, err := answeredAfter(client, 76*time.Second); err == nil {
			t.Errorf("a connection may be idle for ever: %q", line)
		}
	})
	// The control: what net/http does by itself.
	preopened(t, func(l net.Listener) net.Listener { return l }, func(t *testing.T, client net.Conn) {
		if line, err := answeredAfter(client, 5200*time.Millisecond); err == nil {
			t.Errorf("net/http waits by itself, so this proves nothing: %q", line)
		}
	})
}

// TestAfterTheFirstByteTheHeadersHaveFiveSeconds: whoever begins has to go on,
// whether they begin at once or after a while.
func TestAfterTheFirstByteTheHeadersHaveFiveSeconds(t *testing.T) {
	t.Parallel()
	for _, silence := range []time.Duration{0, time.Second, 60 * time.Second} {
		preopened(t, patient, func(t *testing.T, client net.Conn) {
			<-time.After(silence)
			begun := time.Now()
			var writer sync.WaitGroup
			writer.Go(func() { // a byte each second
				for i := range len(aRequest) {
					if _, err := io.WriteString(client, aRequest[i:i+1]); err != nil {
						return
					}
					<-time.After(time.Second)
				}
			})
			_, err := io.ReadAll(client)
			if took := time.Since(begun); err != nil && !errors.Is(err, io.ErrClosedPipe) || took > 6*time.Second || took < 4*time.Second {
				t.Errorf("silent for %v: let go after %v, %v", silence, took, err)
			}
			_ = client.Close()
			writer.Wait()
		})
	}
}

// TestAConnectionOverTLSMayBeIdleBeforeAndAfterTheHandshake: browsers connect ahead
// of need as far as that goes.
func TestAConnectionOverTLSMayBeIdleBeforeAndAfterTheHandshake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		theirs, ours := net.Pipe()
		defer func() { _ = theirs.Close() }()
		c := &patientConn{Conn: ours, firsts: 2}
		c.idle.Store(true)
		readWithin := func(what string, wait time.Duration, want error) {
			t.Helper()
			done := make(chan error, 1)
			go func() {
				_, err := c.Read(make([]byte, 1))
				done <- err
			}()
			<-time.After(wait)
			if want == nil {
				_, _ = theirs.Write([]byte("x"))
			}
			if err := <-done; !errors.Is(err, want) {
				t.Errorf("%s: %v", what, err)
			}
		}
		set := func(d time.Duration) {
			t.Helper()
			at := time.Time{}
			if d > 0 {
				at = time.Now().Add(d)
			}
			if err := c.SetReadDeadline(at); err != nil {
				t.Fatal(err)
			}
		}
		set(5 * time.Second)
		readWithin("before the handshake", 60*time.Second, nil)
		readWithin("within the handshake", 4*time.Second, nil)
		set(0)
		set(5 * time.Second)
		readWithin("after the handshake", 60*time.Second, nil)
		readWithin("within the first request", 4*time.Second, nil)
		readWithin("too slow", 2*time.Second, os.ErrDeadlineExceeded)
		set(0)
		set(5 * time.Second)
		readWithin("a later request", 6*time.Second, os.ErrDeadlineExceeded)
	})
}

// refusedByNetHTTP are requests that no handler sees, and what has to be answered.
var refusedByNetHTTP = map[string]struct {
	sent, code string
	status     int
}{
	"headers above our limit":   {"GET /v1/health HTTP/1.1\r\nHost: x\r\nX-A: " + strings.Repeat("a", 40<<10) + "\r\n\r\n", "HeadersTooLarge", 431},
	"headers above net/http's":  {"GET /v1/health HTTP/1.1\r\nHost: x\r\nX-A: " + strings.Repeat("a", 2*http2HeaderBytes) + "\r\n\r\n", "HeadersTooLarge", 431},
	"a target above net/http's": {"GET /" + strings.Repeat("a", 2*http2HeaderBytes) + " HTTP/1.1\r\nHost: x\r\n\r\n", "HeadersTooLarge", 431},
	"no HTTP":                   {"hello there, it is me\r\n\r\n", "ValidationError", 400},
	"no HTTP, and short":        {"hello\r\n\r\n", "ValidationError", 400},
	"half a preface of HTTP/2":  {"PRI * HTTP/2\r\n\r\n", "ValidationError", 400},
	"no host":                   {"GET /v1/health HTTP/1.1\r\n\r\n", "ValidationError", 400},
	"two hosts":                 {"GET /v1/health HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "ValidationError", 400},
	"a malformed host":          {"GET /v1/health HTTP/1.1\r\nHost: a b\r\n\r\n", "ValidationError", 400},
	"a malformed header":        {"GET /v1/health HTTP/1.1\r\nHost: x\r\nA B: c\r\n\r\n", "ValidationError", 400},
	"two lengths":               {"POST /v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", "ValidationError", 400},
	"NUL in the target":         {"GET /v1/status/\x00 HTTP/1.1\r\nHost: x\r\n\r\n", "ValidationError", 400},
	"an unknown coding":         {"POST /v1/status HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x\r\n\r\n", "ValidationError", 501},
	"an unknown expectation":    {"GET /v1/health HTTP/1.1\r\nHost: x\r\nExpect: the-unexpected\r\n\r\n", "ValidationError", 417},
	"a future version":          {"GET /v1/health HTTP/3.0\r\nHost: x\r\n\r\n", "ValidationError", 505},
}

// TestWhatNetHTTPRefusesIsToldInOurForm: a client has one way to read errors.
func TestWhatNetHTTPRefusesIsToldInOurForm(t *testing.T) {
	t.Parallel()
	plain, secure := newService(t), newService(t, withTLS(t))
	http1 := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}
	for how, dial := range map[string]func() (net.Conn, error){
		"plain": func() (net.Conn, error) { return net.Dial("tcp", strings.TrimPrefix(plain.url, "http://")) },
		"TLS":   func() (net.Conn, error) { return tls.Dial("tcp", strings.TrimPrefix(secure.url, "http://"), http1) },
	} {
		for name, test := range refusedByNetHTTP {
			t.Run(how+", "+name, func(t *testing.T) {
				t.Parallel()
				c, err := dial()
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = c.Close() }()
				go func() { _, _ = io.WriteString(c, test.sent) }() // it may not be taken to its end
				got, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(got.Body)
				_ = got.Body.Close()
				if want := fmt.Sprintf(`{"success":false,"error":{"code":%q,`, test.code); got.StatusCode != test.status || err != nil ||
					got.Header.Get("Content-Type") != "application/json" || got.Header.Get("X-Request-Id") == "" ||
					!strings.HasPrefix(string(body), want) || !got.Close {
					t.Errorf("%d %v %s %v", got.StatusCode, got.Header, body, err)
				}
			})
		}
	}
}

// TestARequestInPiecesIsTakenOverTLS: whatever its first bytes are, and however few
// come at a time.
func TestARequestInPiecesIsTakenOverTLS(t *testing.T) {
	t.Parallel()
	s := newService(t, withTLS(t))
	for _, method := range []string{"GET", "POST", "PRI", "PRIX", "P"} {
		for _, piece := range []int{1, 7, 14, 15, 24} {
			c, err := tls.Dial("tcp", strings.TrimPrefix(s.url, "http://"), &tls.Config{InsecureSkipVerify: true})
			if err != nil {
				t.Fatal(err)
			}
			in := bufio.NewReader(c)
			for range 2 { // the connection is kept
				request := method + " /v1/health HTTP/1.1\r\nHost: x\r\n\r\n"
				for part := range slices.Chunk([]byte(request), piece) {
					if _, err := c.Write(part); err != nil {
						t.Fatal(err)
					}
				}
				got, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Fatalf("%s in pieces of %d: %v", method, piece, err)
				}
				_, _ = io.Copy(io.Discard, got.Body)
				_ = got.Body.Close()
				if want := map[bool]int{true: 200, false: 405}[method == "GET"]; got.StatusCode != want {
					t.Errorf("%s in pieces of %d: %d", method, piece, got.StatusCode)
				}
			}
			_ = c.Close()
		}
	}
}

// TestPlainHTTPToAPortWithTLSIsToldSo: also that is for net/http to answer.
func TestPlainHTTPToAPortWithTLSIsToldSo(t *testing.T) {
	t.Parallel()
	s, _ := overTLS(t, 1)
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := io.WriteString(c, aRequest); err != nil {
		t.Fatal(err)
	}
	got, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(got.Body)
	_ = got.Body.Close()
	if got.StatusCode != 400 || err != nil || !strings.HasPrefix(string(body), `{"success":false,`) || !strings.Contains(string(body), "HTTPS") {
		t.Errorf("%d %s %v", got.StatusCode, body, err)
	}
}

// TestHeadersThatOthersAddAreTaken: cookies of other programs on the same host, and
// what a load balancer adds that signs people in.
func TestHeadersThatOthersAddAreTaken(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.key("ada")
	s.apply(succeeded(t, "mine", "ada", "1"))
	cookie := func(name string, size int) string { return name + "=" + strings.Repeat("x", size) }
	for name, headers := range map[string]http.Header{
		"cookies": {"Cookie": {strings.Join([]string{cookie("a", 2200), cookie("b", 2200), cookie("c", 2200), cookie("d", 2200)}, "; ")}},
		"a load balancer with OIDC": {
			"Cookie":                  {cookie("AWSELBAuthSessionCookie-0", 3900) + "; " + cookie("AWSELBAuthSessionCookie-1", 3900)},
			"X-Amzn-Oidc-Accesstoken": {strings.Repeat("x", 2316)}, "X-Amzn-Oidc-Data": {strings.Repeat("x", 1800)},
			"X-Padding": {strings.Repeat("x", 2323)},
		},
		"31 KiB": {"Cookie": {cookie("a", 15<<10), cookie("b", 16<<10)}},
	} {
		for target, token := range map[string]string{"/docs": "", "/v1/health": "", statusPath + machine + "mine": ada} {
			got := s.ask("GET", target, token, func(r *http.Request) {
				maps.Copy(r.Header, headers)
			})
			if got.status != 200 {
				t.Errorf("%s, %s: %d %s", name, target, got.status, got.body)
			}
		}
	}
}
