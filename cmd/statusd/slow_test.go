package main

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"statuscache/cache/cachetest"
	"statuscache/cmd/internal/apptest"
	"statuscache/ingest/sqstest"
)

// queues are a queue, and the dead-letter queue for messages that were received twice.
type queues struct {
	client   *sqs.Client
	url      string
	dead     string
	executed int // executions whose events were sent
}

func newQueues(t *testing.T) *queues {
	t.Helper()
	endpoint, _ := sqstest.Local(t)
	q := &queues{client: sqstest.Client(t, endpoint)}
	q.url, q.dead = sqstest.NewQueueWithDeadLetters(t, q.client, 2, map[string]string{"VisibilityTimeout": "5"})
	return q
}

// flow sends the events of n more executions.
func (q *queues) flow(t *testing.T, n int) {
	t.Helper()
	flow(t, q.client, q.url, q.executed, q.executed+n)
	q.executed += n
}

// drained waits until every message is handled, and fails for messages that were given up and
// for executions that are reported wrongly.
func (q *queues) drained(t *testing.T, d *daemon) {
	t.Helper()
	cachetest.Eventually(t, "the queue is empty", func() bool { return left(t, q.client, q.url) == 0 })
	if n := left(t, q.client, q.dead); n > 0 {
		t.Errorf("%d dead letters", n)
	}
	if n := q.missing(t, d); n > 0 {
		t.Errorf("%d of %d are lost", n, q.executed)
	}
}

func (q *queues) missing(t *testing.T, d *daemon) (n int) {
	t.Helper()
	for i := range q.executed {
		if _, body := d.status(arnOf(t, i), d.key); !strings.Contains(body, `"status":"SUCCEEDED"`) {
			n++
		}
	}
	return n
}

// askers are clients that send requests again and again.
type askers struct {
	fresh, refused, wrong atomic.Int64 // answers: from Redis; 503 with Retry-After; any other or none
	stop                  atomic.Bool
	all                   sync.WaitGroup
}

// ask lets n clients request unknown executions: no process caches their answers, so each
// request needs Redis.
func ask(t *testing.T, d *daemon, n int) *askers {
	a := &askers{}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: n}}
	t.Cleanup(client.CloseIdleConnections)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+d.api+"/v1/status/"+url.PathEscape(string(arnOf(t, 1_000_000)))+"?wait=0", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+d.key)
	for range n {
		a.all.Go(func() {
			pace := time.NewTicker(200 * time.Millisecond) // below the time that a refused request takes
			defer pace.Stop()
			for !a.stop.Load() {
				a.count(client.Do(r.Clone(t.Context())))
				<-pace.C
			}
		})
	}
	return a
}

func (a *askers) count(got *http.Response, err error) {
	switch {
	case err != nil:
		a.wrong.Add(1)
		return
	case got.StatusCode == http.StatusNotFound:
		a.fresh.Add(1)
	case got.StatusCode == http.StatusServiceUnavailable && got.Header.Get("Retry-After") != "":
		a.refused.Add(1)
	default:
		a.wrong.Add(1)
	}
	_ = got.Body.Close()
}

// end waits until n more requests are answered from Redis, and stops the clients. It fails if a
// request got neither a fresh answer nor 503 with Retry-After.
func (a *askers) end(t *testing.T, n int64) {
	t.Helper()
	before := a.fresh.Load()
	cachetest.Eventually(t, "requests are answered again", func() bool { return a.fresh.Load() > before+n })
	a.stop.Store(true)
	a.all.Wait()
	t.Logf("%d fresh, %d refused", a.fresh.Load(), a.refused.Load())
	if wrong := a.wrong.Load(); wrong > 0 {
		t.Errorf("%d requests failed without 503 and Retry-After", wrong)
	}
}

// TestASlowRedis: while Redis stalls, every request gets a fresh answer or 503 with
// Retry-After. There are fewer goroutines than refused requests, so refused requests leave no
// goroutines. No event is lost or given up during this time. The refused requests are the
// control: they show that Redis stalls.
func TestASlowRedis(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "a process")
	for name, stall := range map[string]func(*testing.T, *cachetest.Server, *askers) (proceed func()){
		"DEBUG SLEEP": func(_ *testing.T, s *cachetest.Server, _ *askers) func() {
			s.Do("DEBUG SLEEP 1") // answered when the stall is over
			return func() {}
		},
		"CLIENT PAUSE": func(_ *testing.T, s *cachetest.Server, _ *askers) func() {
			s.Do("CLIENT PAUSE 1000 ALL")
			return func() { s.Do("PING") } // answered when the stall is over
		},
		"frozen": func(t *testing.T, s *cachetest.Server, a *askers) func() {
			s.Freeze()
			before := a.refused.Load()
			return func() {
				defer s.Thaw()
				cachetest.Eventually(t, "requests are refused", func() bool { return a.refused.Load() > before })
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const clients, each = 50, 100
			q := newQueues(t)
			d := startDaemon(t, cachetest.Redis(t), q.url)
			a := ask(t, d, clients)
			q.flow(t, each)
			cachetest.Eventually(t, "requests are answered", func() bool { return a.fresh.Load() > clients })
			most := d.metric("go_goroutines")
			cachetest.Eventually(t, "many more requests are refused than there are clients", func() bool {
				proceed := stall(t, d.redis, a)
				defer proceed()
				if q.executed < 5*each {
					q.flow(t, each)
				}
				most = max(most, d.metric("go_goroutines"))
				return a.refused.Load() > 10*clients
			})
			a.end(t, clients)
			q.drained(t, d)
			if most > 8*clients {
				t.Errorf("%v goroutines for %d clients", most, clients)
			}
		})
	}
}

// TestRedisIsFull: events that do not fit into Redis stay in the queue, and are applied once
// there is memory. Known executions are served all the time.
func TestRedisIsFull(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "a process")
	const before, late = 20, 50
	q := newQueues(t)
	d := startDaemon(t, cachetest.Redis(t), q.url)
	q.flow(t, before)
	q.drained(t, d)
	d.redis.Do("CONFIG SET maxmemory 1")
	cachetest.Eventually(t, "receiving stops", func() bool { return d.metric("statuscache_ingest_paused") == 1 })
	q.flow(t, late)
	for i := range before {
		if status, body := d.status(arnOf(t, i), d.key); status != http.StatusOK || !strings.Contains(body, `"SUCCEEDED"`) {
			t.Fatalf("an execution known before: %d %s", status, body)
		}
	}
	if n := left(t, q.client, q.url); n != 2*late {
		t.Errorf("%d of %d messages are in the queue", n, 2*late)
	}
	d.redis.Do("CONFIG SET maxmemory 0")
	q.drained(t, d)
}

// TestAFullRedisLosesWhatIsDeletedFirst is the control: a consumer that deletes a message
// before it applies the event.
func TestAFullRedisLosesWhatIsDeletedFirst(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "a process")
	q := newQueues(t)
	d := startDaemon(t, cachetest.Redis(t), "", "ROLE=api")
	d.redis.Do("CONFIG SET maxmemory 1")
	q.flow(t, 20) // several batches: each is applied before the next is received
	apptest.Start(t, "deletes-first", environment(d.redis, q.url))
	cachetest.Eventually(t, "the queue is empty", func() bool { return left(t, q.client, q.url) == 0 })
	d.redis.Do("CONFIG SET maxmemory 0")
	if n := q.missing(t, d); n == 0 {
		t.Error("nothing is lost")
	}
}
