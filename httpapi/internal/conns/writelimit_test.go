package conns

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestAClientThatDoesNotReadIsDisconnected: a connection that takes nothing is let go, and one
// that is merely slow is not.
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
					t.Errorf("let go after %v", took)
				}
				_ = c.Close()
				reader.Wait()
			})
		})
	}
}

// TestTheNextAnswerHasADeadlineToo: net/http lifts every deadline behind an answer.
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
