package conns

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"statuscache/cache/cachetest"
	"statuscache/httpapi/wire"
)

// TestAClientThatDoesNotReadIsDisconnected: a client that receives nothing is disconnected, and
// one that is only slow is not.
func TestAClientThatDoesNotReadIsDisconnected(t *testing.T) {
	t.Parallel()
	answer := make([]byte, 20*WritePiece)
	for name, test := range map[string]struct {
		pause time.Duration // between two pieces that the client takes; 0: it takes none
		want  error
	}{
		"takes nothing": {0, os.ErrDeadlineExceeded},
		"is slow":       {3 * time.Second, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				defer func() { _ = theirs.Close() }()
				var reader sync.WaitGroup
				if test.pause > 0 {
					reader.Go(func() {
						piece := make([]byte, WritePiece)
						for {
							<-time.After(test.pause)
							if _, err := io.ReadFull(theirs, piece); err != nil {
								return
							}
						}
					})
				}
				c := &limitedConn{Conn: ours}
				begin := time.Now()
				_, err := c.Write(answer)
				if !errors.Is(err, test.want) {
					t.Errorf("%v, want %v", err, test.want)
				}
				if took := time.Since(begin); test.want != nil && took > WriteLimit {
					t.Errorf("disconnected after %v", took)
				}
				_ = c.Close()
				reader.Wait()
			})
		})
	}
}

// TestTheNextAnswerHasADeadlineToo: net/http removes the deadline after each answer.
func TestTheNextAnswerHasADeadlineToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer func() { _ = theirs.Close() }()
		c := &limitedConn{Conn: ours}
		go func() { _, _ = io.ReadFull(theirs, make([]byte, 1)) }()
		if _, err := c.Write([]byte("1")); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(c.SetWriteDeadline(time.Time{}), c.SetDeadline(time.Time{})); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if _, err := c.Write([]byte("2")); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) > WriteLimit {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		_ = c.Close()
	})
}

// TestAPollWhoseAnswerIsNotReadIsAbandoned: its connection ends although closing it has to wait
// for the poll.
func TestAPollWhoseAnswerIsNotReadIsAbandoned(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "six seconds")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 64<<20) // more than any buffer of the kernel holds
	server := wire.New(wire.Options{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(answer) }),
		Hot:     "/", Draining: new(atomic.Bool), Log: slog.New(slog.DiscardHandler),
	})
	var served atomic.Bool
	go func() {
		server.Serve(t.Context(), wire.Conn{Conn: &limitedConn{Conn: c}, Socket: c.(*net.TCPConn), Plain: true})
		served.Store(true)
	}()
	if _, err := io.WriteString(client, "GET /a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer y\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	cachetest.Eventually(t, "the connection is abandoned", served.Load)
}
