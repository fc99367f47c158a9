package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"statuscache/cache"
	"statuscache/ingest"
	"statuscache/ingest/localaws"
)

// arrival measures how long an event takes from the queue to a poller, beyond the time in which
// the queue itself delivers a message.
func (b *bench) arrival(ctx context.Context) ([]line, error) {
	events := 300
	if b.quick {
		events = 30
	}
	visible, own, err := b.arrivals(ctx, events)
	if err != nil {
		return nil, err
	}
	usual := percentile(own, 50)
	beyond := make([]float64, len(visible))
	for i, took := range visible {
		beyond[i] = took - usual
	}
	const limit = 25 // ms
	p50, p99 := percentile(beyond, 50), percentile(beyond, 99)
	return []line{{
		figure: fmt.Sprintf("event in SQS to visible over HTTP, %d events, p50 and p99", events),
		ours:   fmt.Sprintf("%s and %s ms", short(percentile(visible, 50)), short(percentile(visible, 99))),
		beside: fmt.Sprintf("bare long poll: %s and %s ms", short(usual), short(percentile(own, 99))),
		ratio:  fmt.Sprintf("+ %s and %s ms", short(p50), short(p99)),
		target: fmt.Sprintf("p99 + ≤ %d ms", limit), verdict: verdict(p99 <= limit),
	}}, nil
}

// arrivals returns, in milliseconds, how long each event took to be visible and
// how long as many messages took to be received.
func (b *bench) arrivals(ctx context.Context, events int) (visible, own []float64, err error) {
	ps := &peers{dir: b.dir}
	defer ps.stopAll()
	redis, err := ps.redis(ctx)
	if err != nil {
		return nil, nil, err
	}
	l, err := listen()
	if err != nil {
		return nil, nil, err
	}
	server := localaws.New()
	h := &http.Server{Handler: server, ReadHeaderTimeout: startLimit}
	go func() { _ = h.Serve(l) }() // ends with Close
	defer func() {
		server.Shutdown()
		_ = h.Close()
	}()
	base := "http://" + l.Addr().String()
	queue, bareQueue := server.CreateQueue("events", nil), server.CreateQueue("bare", nil)
	w, err := b.startWatch(ctx, ps, redis, queue, queue.URL(base))
	if err != nil {
		return nil, nil, err
	}
	defer w.close()
	bare, err := newBareReceiver(bareQueue, bareQueue.URL(base))
	if err != nil {
		return nil, nil, err
	}
	for i := range events + events/10 { // the first ones warm up
		h := newHappening(benchOwner)
		took, err1 := bare.receive(ctx, h.succeeded(0))
		seen, err2 := w.event(ctx, h)
		if err := errors.Join(err1, err2); err != nil {
			return nil, nil, err
		}
		if i >= events/10 {
			own, visible = append(own, inMillis(took)), append(visible, inMillis(seen))
		}
	}
	return visible, own, nil
}

func inMillis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// watch is a poller of a service that has a queue.
type watch struct {
	queue *localaws.Queue
	cache *cache.Cache
	key   string
	serve *peer
}

func (b *bench) startWatch(ctx context.Context, ps *peers, redis *peer, queue *localaws.Queue, url string) (*watch, error) {
	key, err := createKey(ctx, redis)
	if err != nil {
		return nil, err
	}
	w := &watch{queue: queue, key: key}
	w.serve, err = ps.self("serve", serveEnv(redis, "ROLE=all", "OWNER_PATH=tenantId", "SQS_QUEUE_URL="+url,
		"AWS_REGION="+region, "AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local")...)
	if err != nil {
		return nil, err
	}
	if w.cache, err = openCache(redis); err != nil {
		return nil, err
	}
	h := newHappening(benchOwner)
	if err := w.begin(ctx, h); err != nil {
		return nil, err
	}
	return w, w.serve.awaitTrust(ctx, "http://"+w.serve.addr+statusPath+h.arn(), key)
}

func (w *watch) close() { _ = w.cache.Close() }

// begin stores the start of an execution.
func (w *watch) begin(ctx context.Context, h happening) error {
	return w.cache.Apply(ctx, []cache.Execution{{
		ARN: cache.ARN(h.arn()), Status: cache.Running, Completeness: cache.Complete, Source: cache.FromEvent,
		StartDate: h.start, Owner: h.owner,
	}})[0].Err
}

// pollPause is the time between two polls, which leaves the machine to others.
const pollPause = 200 * time.Microsecond

// event polls a running execution, puts the event of its end into the queue, and
// returns how long it took from there until a client received it.
func (w *watch) event(ctx context.Context, h happening) (time.Duration, error) {
	if err := w.begin(ctx, h); err != nil {
		return 0, err
	}
	c, err := dial(ctx, w.serve.addr, time.Now().Add(startLimit))
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }()
	text := fmt.Appendf(nil, "GET %s%s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n\r\n", statusPath, h.arn(), w.key)
	answers := newResponses(c)
	body := h.succeeded(0)
	var sent time.Time
	for {
		if _, err := c.Write(text); err != nil {
			return 0, err
		}
		status, answer, err := answers.next()
		switch {
		case err != nil:
			return 0, err
		case status != http.StatusOK:
			return 0, fmt.Errorf("poll: %d %.200s", status, answer)
		case sent.IsZero(): // the near cache holds it now
			sent = time.Now()
			w.queue.Send(body, 0)
		case bytes.Contains(answer, []byte(`"status":"SUCCEEDED"`)):
			return time.Since(sent), nil
		}
		time.Sleep(pollPause)
	}
}

// bareWait is how long a bare receive waits for a message.
const bareWait = 5 * time.Second

// bareReceiver receives and does nothing else.
type bareReceiver struct {
	queue  *localaws.Queue
	client *ingest.SQS
}

func newBareReceiver(queue *localaws.Queue, url string) (*bareReceiver, error) {
	client, err := ingest.NewSQS(aws.Config{
		Region: region, Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	}, url, nil)
	return &bareReceiver{queue, client}, err
}

// receive returns how long a message takes from being sent to being received by
// a long poll that waits for it.
func (b *bareReceiver) receive(ctx context.Context, body string) (time.Duration, error) {
	var messages []ingest.Message
	var at time.Time
	received := make(chan error, 1)
	go func() {
		var err error
		messages, err = b.client.Receive(ctx, bareWait)
		at = time.Now()
		received <- err
	}()
	for b.queue.Waiting() == 0 {
		select {
		case err := <-received:
			return 0, errors.Join(errors.New("a long poll ended before anything was sent"), err)
		case <-time.After(pollPause):
		}
	}
	sent := time.Now()
	b.queue.Send(body, 0)
	if err := <-received; err != nil {
		return 0, err
	}
	if len(messages) != 1 || messages[0].Body != body {
		return 0, fmt.Errorf("%d messages received where one was sent", len(messages))
	}
	_, err := b.client.Delete(ctx, messages)
	return at.Sub(sent), err
}
