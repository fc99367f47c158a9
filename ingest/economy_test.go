package ingest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/prometheus/client_golang/prometheus"

	"statuscache/ingest/localaws"
)

const (
	tripTime = 10 * time.Millisecond // of a request or an answer
	month    = 31 * 24 * time.Hour
)

// calledDirectly hands requests to a stand-in for AWS without a network, so that it works
// with the clock of a bubble.
type calledDirectly struct{ server *localaws.Server }

// RoundTrip implements http.RoundTripper.
func (c calledDirectly) RoundTrip(r *http.Request) (*http.Response, error) {
	sleep(r.Context(), tripTime)
	answer := httptest.NewRecorder()
	c.server.ServeHTTP(answer, r)
	sleep(r.Context(), tripTime)
	return answer.Result(), r.Context().Err()
}

// account is a stand-in for AWS with one queue, and what was paid for.
type account struct {
	server  *localaws.Server
	queue   *localaws.Queue
	client  *SQS
	metrics *prometheus.Registry
}

func newAccount(t *testing.T) *account {
	t.Helper()
	a := &account{server: localaws.New(), metrics: prometheus.NewRegistry()}
	a.queue = a.server.CreateQueue("events", nil)
	var err error
	a.client, err = NewSQS(aws.Config{
		Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
		HTTPClient: &http.Client{Transport: calledDirectly{a.server}},
	}, a.queue.URL("http://127.0.0.1:1"), a.metrics)
	must(t, err)
	return a
}

func (a *account) requests() (n int) {
	for _, each := range a.server.Calls() {
		n += each
	}
	return n
}

func TestQuietQueueCostsFewRequests(t *testing.T) {
	t.Parallel()
	for name, backlog := range map[string]int{"never used": 0, "after a backlog": 500} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a, known := newAccount(t), newFakeCache()
				for i := range backlog {
					a.queue.Send(statusEvent(fmt.Sprint("x-", i), "RUNNING"), 0)
				}
				p := startProcess(t, a.client, known)
				pass(time.Minute)
				if n := len(known.state()); n != backlog || a.queue.Depth().Total() != 0 {
					t.Fatalf("%d of %d applied, left: %+v", n, backlog, a.queue.Depth())
				}
				before := a.requests()
				pass(time.Hour)
				if n := (a.requests() - before) * int(month/time.Hour); n > 300_000 || n < 100_000 {
					t.Errorf("%d requests a month: %v", n, a.server.Calls())
				}
				if n := a.queue.Waiting(); n != 1 {
					t.Errorf("%d polls are open", n)
				}
				p.stop()
			})
		})
	}
}

// TestFewEventsCostFewRequests sends five events a second, at random times.
func TestFewEventsCostFewRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, known := newAccount(t), newFakeCache()
		p := startProcess(t, a.client, known)
		pass(time.Second)
		const events = 3000
		random := rand.New(rand.NewPCG(1, 2))
		for i := range events {
			a.queue.Send(statusEvent(fmt.Sprint("x-", i), "RUNNING"), 0)
			pass(time.Duration(random.ExpFloat64() * float64(time.Second) / 5))
		}
		pass(time.Minute)
		p.stop()
		if n := len(known.state()); n != events || a.queue.Depth().Total() != 0 || a.queue.Deliveries() != events {
			t.Errorf("%d of %d applied after %d deliveries, left: %+v", n, events, a.queue.Deliveries(), a.queue.Depth())
		}
		if per := float64(a.requests()) / events; per > 1.5 {
			t.Errorf("%.2f requests an event: %v", per, a.server.Calls())
		}
		for action, n := range a.server.Calls() {
			if got := a.counted(t, action); got != n {
				t.Errorf("%s: the metric says %d, want %d", action, got, n)
			}
		}
	})
}

func (a *account) counted(t *testing.T, action string) int {
	t.Helper()
	families, err := a.metrics.Gather()
	must(t, err)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if m.GetLabel()[0].GetValue() == action {
				return int(m.GetCounter().GetValue())
			}
		}
	}
	return 0
}

// TestEventIntoAQuietQueueIsAppliedAtOnce sends events after long and short pauses. Each
// has to be there once the answer of an open poll is: the next poll begins at once.
func TestEventIntoAQuietQueueIsAppliedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, known := newAccount(t), newFakeCache()
		known.slow = 50 * time.Millisecond // others poll meanwhile
		p := startProcess(t, a.client, known)
		for i := range 200 {
			pass(time.Duration(i*i) * time.Millisecond)
			a.queue.Send(statusEvent(fmt.Sprint("x-", i), "RUNNING"), 0)
			sent := time.Now()
			for a.queue.Deliveries() <= i {
				pass(time.Millisecond)
			}
			if took := time.Since(sent); took > 2*tripTime+time.Millisecond {
				t.Errorf("event %d, after a pause of %d ms, was received after %v", i, i*i, took)
			}
		}
		pass(time.Minute)
		p.stop()
		if n := len(known.state()); n != 200 {
			t.Errorf("%d applied", n)
		}
	})
}

// TestBacklogIsDrainedAsFastAsByAllReceivers compares with receivers that all poll all the
// time, and each delete what they have handled before they poll again.
func TestBacklogIsDrainedAsFastAsByAllReceivers(t *testing.T) {
	t.Parallel()
	const backlog = 8000
	drain := func(t *testing.T, run func(t *testing.T, a *account, known *fakeCache)) (took time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			a, known := newAccount(t), newFakeCache()
			for i := range backlog {
				a.queue.Send(statusEvent(fmt.Sprint("x-", i), "RUNNING"), 0)
			}
			begun := time.Now()
			run(t, a, known)
			for a.queue.Depth().Total() > 0 && time.Since(begun) < time.Hour {
				pass(10 * time.Millisecond)
			}
			took = time.Since(begun)
			if n := len(known.state()); n != backlog {
				t.Errorf("%d applied", n)
			}
			a.server.Shutdown() // ends polls
			pass(time.Second)
		})
		return took
	}
	ours := drain(t, func(t *testing.T, a *account, known *fakeCache) { startProcess(t, a.client, known) })
	control := drain(t, func(t *testing.T, a *account, known *fakeCache) {
		for range receivers {
			go func() {
				for {
					messages, err := a.client.Receive(t.Context(), pollWait)
					if err != nil || len(messages) == 0 {
						return
					}
					batch, _ := executions(messages)
					known.Apply(t.Context(), batch)
					_, _ = a.client.Delete(t.Context(), messages)
				}
			}()
		}
	})
	if ours > control*11/10+deleteWithin {
		t.Errorf("drained in %v, by receivers that poll all the time in %v", ours, control)
	}
}

// TestGatheredDeletes says when a handled message is deleted.
func TestGatheredDeletes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		messages, left int // sent, and not deleted at once
	}{"one": {1, 1}, "a full request": {10, 0}, "more": {23, 3}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q, known := newFakeQueue(), newFakeCache()
				p := startProcess(t, q, known)
				pass(time.Second)
				for i := range c.messages {
					q.send(statusEvent(fmt.Sprint("x-", i), "RUNNING"))
				}
				synctest.Wait()
				if n := q.counts().left; n != c.left || len(known.state()) != c.messages {
					t.Errorf("%d left at once, want %d; %d applied", n, c.left, len(known.state()))
				}
				pass(deleteWithin)
				if n := q.counts().left; n != 0 {
					t.Errorf("%d left after %v", n, deleteWithin)
				}
				q.send(statusEvent("last", "RUNNING"))
				synctest.Wait()
				p.stop()
				checkDrained(t, q, 1)
			})
		})
	}
}

// TestVisibilityOutlastsTheGathering: a message is not delivered again while it waits to be
// deleted, even if that is as late as can be and the first attempts hang.
func TestVisibilityOutlastsTheGathering(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, known := newFakeQueue(), newFakeCache()
		known.slow = visibilityRenew - time.Millisecond // right before it would be renewed
		attempts := 0
		q.beforeDelete = func(ctx context.Context) {
			if attempts++; attempts < deleteAttempts {
				<-ctx.Done()
			}
		}
		q.send(statusEvent("x", "RUNNING"))
		p := startProcess(t, q, known)
		pass(2 * Visibility)
		p.stop()
		checkDrained(t, q, 1)
		if attempts != deleteAttempts {
			t.Errorf("%d attempts to delete, want %d", attempts, deleteAttempts)
		}
	})
}
