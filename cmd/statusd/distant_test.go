package main

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"statuscache/cache/cachetest"
)

// distance is how much later the answers of a distant Redis come.
const distance = 200 * time.Millisecond

// TestRedisBecomesDistant: while each answer of Redis takes 200 ms longer, every request is
// answered, fresh or with the advice to come back, there are not many goroutines, and no event
// is lost or given up. That no answer of Redis comes earlier is the control.
func TestRedisBecomesDistant(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "a process")
	const clients, executions, answers = 20, 100, 200
	q, redis := newQueues(t), cachetest.Redis(t)
	far := distant(t, redis.Addr)
	d := startDaemon(t, redis, q.url, "REDIS_URL=redis://"+far.addr)
	a := ask(t, d, clients)
	cachetest.Eventually(t, "requests are answered", func() bool { return a.fresh.Load() > clients })
	far.late.Store(int64(distance))
	if took := pingTime(t, far.addr); took < distance {
		t.Errorf("Redis answered within %v", took)
	}
	q.flow(t, executions)
	before, most := a.fresh.Load()+a.refused.Load(), 0.0
	cachetest.Eventually(t, "requests are answered or refused", func() bool {
		most = max(most, d.metric("go_goroutines"))
		return a.fresh.Load()+a.refused.Load() > before+answers
	})
	far.late.Store(0)
	a.end(t, clients)
	q.drained(t, d)
	if most > 20*clients {
		t.Errorf("%v goroutines for %d clients", most, clients)
	}
}

// pingTime returns how long Redis takes to answer.
func pingTime(t *testing.T, addr string) time.Duration {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	begun := time.Now()
	if _, err := io.WriteString(c, "PING\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, len("+PONG\r\n"))); err != nil {
		t.Fatal(err)
	}
	return time.Since(begun)
}

// far is a Redis whose answers come later.
type far struct {
	addr string
	late atomic.Int64 // a time.Duration
}

func distant(t *testing.T, redis string) *far {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	f := &far{addr: l.Addr().String()}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", redis)
			if err != nil { // the test is over
				_ = client.Close()
				continue
			}
			go func() {
				_, _ = io.Copy(server, client)
				_ = server.Close()
			}()
			go f.passOn(client, server)
		}
	}()
	return f
}

// passOn copies what a server sends until either end closes.
func (f *far) passOn(client, server net.Conn) {
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
