package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"statuscache/cache"
	"statuscache/cache/cachetest"
	"statuscache/cmd/internal/app"
	"statuscache/cmd/internal/apptest"
	"statuscache/ingest"
	"statuscache/ingest/event"
	"statuscache/ingest/localaws"
	"statuscache/ingest/sqstest"
)

// moment is the point in a call to the queue at which a consumer is killed.
type moment struct {
	action string
	done   bool // the call has taken effect but is not answered; otherwise it has only been requested
}

var (
	received    = moment{"ReceiveMessage", true}      // and not yet applied
	notDeleted  = moment{"DeleteMessageBatch", false} // although its event is applied
	justDeleted = moment{"DeleteMessageBatch", true}
)

// reached is closed when a consumer has reached a moment. The consumer waits there until letGo
// is called, and a call that was only requested is not executed.
func (m moment) reached(server *localaws.Server) (reached <-chan struct{}, letGo func()) {
	at, proceed := make(chan struct{}), make(chan struct{})
	once := sync.OnceFunc(func() { close(at) })
	hold := func(action string) (held bool) {
		if action != m.action {
			return false
		}
		once()
		<-proceed
		return true
	}
	faults := localaws.Faults{Refuse: func(action string) error {
		if hold(action) {
			return localaws.ErrUnavailable
		}
		return nil
	}}
	if m.done {
		faults = localaws.Faults{Done: func(action string) { hold(action) }}
	}
	server.SetFaults(faults)
	return at, func() {
		server.SetFaults(localaws.Faults{})
		close(proceed)
	}
}

// TestKilledWhileEventsFlow: ingest is killed at each moment at which this could lose an event,
// several times if THOROUGH is set, and nothing is lost. No client receives an older version than
// before, by redelivered events either. The control is a consumer that deletes a message before it
// applies the event, and is killed between these two steps.
func TestKilledWhileEventsFlow(t *testing.T) {
	t.Parallel()
	for program, test := range map[string]struct {
		kills    []moment
		wantLost bool
	}{
		"statusd":       {[]moment{received, notDeleted, justDeleted, justDeleted, notDeleted, received, justDeleted, received, notDeleted}[:cachetest.Rounds(3, 9)], false},
		"deletes-first": {[]moment{justDeleted}, true},
	} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			redis := cachetest.Redis(t)
			endpoint, server := sqstest.Local(t)
			client := sqstest.Client(t, endpoint)
			queue := sqstest.NewQueue(t, client, nil)
			held := server.CreateQueue(path.Base(queue), nil) // the same
			env := append(environment(redis, queue), "ROLE=ingest", "ADMIN_ADDR=127.0.0.1:0")

			eachTime := cachetest.Rounds(40, 100)
			executions := 0
			reader := reads(t, startDaemon(t, redis, queue, "ROLE=api"), eachTime*len(test.kills))
			for _, kill := range test.kills {
				flow(t, client, queue, executions, executions+eachTime)
				executions += eachTime
				reached, letGo := kill.reached(server)
				p := apptest.Start(t, program, env)
				p.Until(reached)
				p.Kill()
				letGo()
				cachetest.Eventually(t, "its receives have ended", func() bool { return held.Waiting() == 0 })
				held.ExpireVisibility()
			}
			apptest.Start(t, program, env)
			cachetest.Eventually(t, "the queue is empty", func() bool { return left(t, client, queue) == 0 })
			reader.end(t)

			c, _ := openCache(t, redis)
			lost := 0
			for n := range executions {
				r, err := c.Get(t.Context(), arnOf(t, n))
				if err != nil && !errors.Is(err, cache.ErrNotFound) {
					t.Fatal(err)
				}
				if err != nil || r.Status != cache.Succeeded {
					lost++
				}
			}
			if (lost > 0) != test.wantLost {
				t.Errorf("%d of %d lost", lost, executions)
			}
		})
	}
}

// history is what a client receives that asks for executions in turn, and sends the tag of the
// version that it has of each.
type history struct {
	stop, stopped   chan struct{}
	asked, versions atomic.Int64
	older           []string
}

// reads starts a client of the first n executions.
func reads(t *testing.T, d *daemon, n int) *history {
	h, tags := &history{stop: make(chan struct{}), stopped: make(chan struct{})}, make([]string, n)
	go func() {
		defer close(h.stopped)
		pace := time.NewTicker(2 * time.Millisecond) // leaves CPU time to the other processes
		defer pace.Stop()
		for i := 0; ; i = (i + 1) % n {
			select {
			case <-h.stop:
				return
			case <-pace.C:
			}
			tag := tagOf(t, d, arnOf(t, i), tags[i])
			if h.asked.Add(1); tag == "" || tag == tags[i] {
				continue
			}
			now, before := strings.Trim(tag, `"`), strings.Trim(tags[i], `"`)
			if h.versions.Add(1); now < before { // a tag begins with the version
				h.older = append(h.older, now+" after "+before)
			}
			tags[i] = tag
		}
	}()
	return h
}

// end waits until the client has asked many times again, and checks what it has received.
func (h *history) end(t *testing.T) {
	t.Helper()
	enough := h.asked.Load() + 1000
	cachetest.Eventually(t, "the client has asked again", func() bool { return h.asked.Load() > enough })
	close(h.stop)
	<-h.stopped
	if h.versions.Load() == 0 || len(h.older) > 0 {
		t.Errorf("a client received %d versions, of which these are older than before: %q", h.versions.Load(), h.older)
	}
}

// tagOf asks for an execution and returns the tag of the answer, empty if there is no state.
func tagOf(t *testing.T, d *daemon, arn cache.ARN, have string) string {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+d.api+"/v1/status/"+url.PathEscape(string(arn))+"?wait=0", nil)
	if err != nil {
		return ""
	}
	r.Header.Set("Authorization", "Bearer "+d.key)
	r.Header.Set("If-None-Match", have)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return ""
	}
	_ = answer.Body.Close()
	return answer.Header.Get("ETag")
}

// flow sends the events of the executions from number first up to, but not including, last.
func flow(t *testing.T, client *sqs.Client, queue string, first, last int) {
	t.Helper()
	const perBatch = 5 // executions, with two events each
	for ; first < last; first += perBatch {
		var entries []types.SendMessageBatchRequestEntry
		for n := first; n < first+perBatch; n++ {
			for _, body := range []string{statusEvent(n, "SUCCEEDED", 1000), statusEvent(n, "RUNNING", 0)} { // out of order
				id := strconv.Itoa(len(entries))
				entries = append(entries, types.SendMessageBatchRequestEntry{Id: &id, MessageBody: &body})
			}
		}
		if _, err := client.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: &queue, Entries: entries}); err != nil {
			t.Fatal(err)
		}
	}
}

// deletesFirst is a wrong consumer: it deletes a message before it applies the event.
func deletesFirst() {
	ctx := context.Background()
	config, err := ingest.LoadAWS(ctx)
	if err != nil {
		panic(err)
	}
	queue, err := ingest.NewSQS(config, os.Getenv("SQS_QUEUE_URL"), nil)
	if err != nil {
		panic(err)
	}
	c, err := app.OpenCache(app.Config{RedisURL: os.Getenv("REDIS_URL"), RedisPrefix: "sc", Retention: 360 * time.Hour}, nil, nil)
	if err != nil {
		panic(err)
	}
	var decoder event.Decoder
	for {
		messages, err := queue.Receive(ctx, time.Second)
		if err != nil {
			continue
		}
		_, _ = queue.Delete(ctx, messages)
		var executions []cache.Execution
		for _, m := range messages {
			if e, err := decoder.Decode([]byte(m.Body)); err == nil {
				executions = append(executions, e)
			}
		}
		c.Apply(ctx, executions)
	}
}
