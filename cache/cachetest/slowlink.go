package cachetest

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// Far is a proxy that delays the answers of a server.
type Far struct {
	Addr string
	late atomic.Int64 // a time.Duration
}

// Late sets the delay of answers from now on.
func (f *Far) Late(by time.Duration) { f.late.Store(int64(by)) }

// Distant starts a proxy for the server at an address.
func Distant(t testing.TB, server string) *Far {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	f := &Far{Addr: l.Addr().String()}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", server)
			if err != nil { // the test is over
				_ = client.Close()
				continue
			}
			go func() {
				_, _ = io.Copy(far, client)
				_ = far.Close()
			}()
			go f.passOn(client, far)
		}
	}()
	return f
}

// passOn copies what a server sends until either end closes.
func (f *Far) passOn(client, server net.Conn) {
	type piece struct {
		due   time.Time
		bytes []byte
	}
	const underWay = 1000
	pieces := make(chan piece, underWay)
	go func() {
		defer close(pieces)
		for {
			b := make([]byte, 32<<10)
			n, err := server.Read(b)
			pieces <- piece{time.Now().Add(time.Duration(f.late.Load())), b[:n]}
			if err != nil {
				return
			}
		}
	}()
	for p := range pieces {
		<-time.After(time.Until(p.due))
		_, _ = client.Write(p.bytes) // fails when the client has gone, and then the server is closed, too
	}
	_ = client.Close()
}
