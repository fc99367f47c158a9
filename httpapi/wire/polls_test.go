package wire

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"statuscache/cache/cachetest"
)

// TestAnAnswerThatTheSocketTakesInPiecesIsComplete: the first piece is sent at once, and the
// others when there is space.
func TestAnAnswerThatTheSocketTakesInPiecesIsComplete(t *testing.T) {
	t.Parallel()
	for _, size := range []int{copyLimit - headSpace, copyLimit + headSpace, 256 << 10} {
		body := strings.Repeat("x", size)
		b := connectBy(t, true, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }, func(c Conn) Conn {
			if err := c.Socket.SetWriteBuffer(1); err != nil { // as small as the kernel allows
				t.Fatal(err)
			}
			return c
		})
		for range 3 {
			b.send(aPoll)
			if got, body := b.next(); got.StatusCode != 200 || len(body) != size {
				t.Fatalf("%d: %d bytes of %d", got.StatusCode, len(body), size)
			}
		}
	}
}

// TestAPollMayWait, and the connection continues after it.
func TestAPollMayWait(t *testing.T) {
	t.Parallel()
	b := connect(t, true, func(w http.ResponseWriter, _ *http.Request) {
		out := w.(*Response)
		out.Detach(waitingFor(func() { _, _ = io.WriteString(out, "waited") }))
	})
	for range 10 {
		b.send(aPoll)
		if _, body := b.next(); body != "waited" {
			t.Fatalf("%q", body)
		}
	}
}

// TestAClientThatSendsNothingMoreIsAnswered, and then the connection ends: the end may arrive
// together with the poll.
func TestAClientThatSendsNothingMoreIsAnswered(t *testing.T) {
	t.Parallel()
	for range 50 {
		b := connect(t, true, echo)
		if _, err := io.WriteString(b.client, aPoll); err != nil {
			t.Fatal(err)
		}
		if err := b.client.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got, _ := b.next(); got.StatusCode != 200 {
			t.Fatal(got.StatusCode)
		}
		b.mustEnd("half closed")
	}
}

// TestAPollThatHangsDoesNotHoldUpTheShutdown: closing its connection waits for the poll, which
// the shutdown must not.
func TestAPollThatHangsDoesNotHoldUpTheShutdown(t *testing.T) {
	t.Parallel()
	began, end := make(chan struct{}), make(chan struct{})
	b := connect(t, true, func(http.ResponseWriter, *http.Request) { close(began); <-end })
	b.send(aPoll)
	<-began
	over, cancel := context.WithCancel(t.Context())
	cancel()
	b.Stop(over)
	if err := b.Drain(over); err == nil {
		t.Error("no request was cut off")
	}
	close(end)
	cachetest.Eventually(t, "the connection is forgotten", func() bool { return len(b.all()) == 0 })
}
