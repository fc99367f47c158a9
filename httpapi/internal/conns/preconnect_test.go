package conns

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
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
		server := hardened(Options{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }), Log: slog.New(slog.DiscardHandler)})
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

func preconnected(l net.Listener) net.Listener {
	return preconnectListener{Listener: newPublicListener(l, newAcceptErrors(slog.New(slog.DiscardHandler), prometheus.NewRegistry()), 0)}
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
		preopened(t, preconnected, func(t *testing.T, client net.Conn) {
			if line, err := answeredAfter(client, silence); err != nil || !strings.Contains(line, "200") {
				t.Errorf("after %v: %q, %v", silence, line, err)
			}
		})
	}
	preopened(t, preconnected, func(t *testing.T, client net.Conn) {
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
		preopened(t, preconnected, func(t *testing.T, client net.Conn) {
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
		c := &preconnectConn{Conn: ours, firsts: 2}
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
