package main

import (
	"io"
	"net"
	"testing"
	"time"

	"statuscache/cache/cachetest"
)

// distance is how much later the answers of a distant Redis arrive.
const distance = 200 * time.Millisecond

// TestRedisBecomesDistant: while each answer of Redis takes 200 ms longer, every request gets a
// fresh answer or 503 with Retry-After, the number of goroutines stays small, and no event is
// lost or given up. The control: no answer of Redis arrives earlier.
func TestRedisBecomesDistant(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "a process")
	const clients, executions, answers = 20, 100, 200
	q, redis := newQueues(t), cachetest.Redis(t)
	far := cachetest.Distant(t, redis.Addr)
	d := startDaemon(t, redis, q.url, "REDIS_URL=redis://"+far.Addr)
	a := ask(t, d, clients)
	cachetest.Eventually(t, "requests are answered", func() bool { return a.fresh.Load() > clients })
	far.Late(distance)
	if took := pingTime(t, far.Addr); took < distance {
		t.Errorf("Redis answered within %v", took)
	}
	q.flow(t, executions)
	before, most := a.fresh.Load()+a.refused.Load(), 0.0
	cachetest.Eventually(t, "requests are answered or refused", func() bool {
		most = max(most, d.metric("go_goroutines"))
		return a.fresh.Load()+a.refused.Load() > before+answers
	})
	far.Late(0)
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
