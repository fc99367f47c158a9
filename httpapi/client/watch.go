package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"mime"
	"net/http"
	"strconv"
	"time"
)

const (
	longPoll     = 20 * time.Second
	firstByte    = 5 * time.Second  // a stream begins within this time, unless a proxy buffers it
	silence      = 20 * time.Second // two heartbeats of the service and a margin; after more, a proxy buffers the stream
	early        = time.Second      // a long poll that is answered sooner with nothing new did not wait
	maxEarly     = 3                // after so many such answers in a row, the service does not support long polls
	pollSlowest  = 10 * time.Second
	pollQuickest = time.Second
)

// Wait returns an execution in the full view when it has ended. If ctx ends first, it
// returns the error of ctx, and the last state if there is one.
func (c *Client) Wait(ctx context.Context, executionARN string) (last *Execution, err error) {
	p := &poller{client: c, path: statusPath(executionARN) + "?view=full", untilEnd: true}
	for e, err := range p.states(ctx) {
		if err != nil {
			return last, err
		}
		if last = e; e.Ended() {
			return e, nil
		}
	}
	return last, ctx.Err()
}

// Watch yields the current state of an execution and then each newer one, until the
// execution ends. It uses a stream; if that is not possible, long polls, and otherwise
// polls. Only the last state of a stream has the full view. An error ends the iteration.
func (c *Client) Watch(ctx context.Context, executionARN string) iter.Seq2[*Execution, error] {
	return func(yield func(*Execution, error) bool) {
		var version string
		newer := func(e *Execution) bool {
			if e.Version <= version {
				return true // never an older state than before
			}
			version = e.Version
			return yield(e, nil)
		}
		b := newBackoff()
		ended, err := c.followStream(ctx, b, executionARN, newer)
		if ended {
			if err != nil {
				yield(nil, err)
			}
			return
		}
		p := &poller{client: c, path: statusPath(executionARN) + "?view=full", arrived: b.arrived}
		for e, err := range p.states(ctx) {
			if err != nil {
				yield(nil, err)
				return
			}
			if !newer(e) || e.Ended() {
				return
			}
		}
	}
}

var (
	errNoStream = errors.New("streams are not available; a proxy in front of the service may buffer them")
	errCutOff   = errors.New("the stream ended before its first event")
)

// followStream yields the states of a stream, and connects again when it is lost. ended
// reports that nothing more will come or that the caller has stopped. errNoStream means
// that long polls are better: the service has no streams, or a proxy refuses them, cuts
// them off, or buffers them so that heartbeats do not arrive.
func (c *Client) followStream(ctx context.Context, b *backoff, arn string, yield func(*Execution) bool) (ended bool, err error) {
	var last string
	done, stopped := false, false
	for {
		err := c.stream(ctx, statusPath(arn), last, func(ev event) bool {
			b.succeeded()
			switch ev.name {
			case "end":
				done = true
				return false
			case "status":
				e, err := execution(ev.data)
				if err != nil {
					return false
				}
				e.Version, last = ev.id, ev.id
				if e.Ended() {
					done = true
					if full, err := c.Get(ctx, arn); err == nil && full.Version >= e.Version {
						e = full
					}
				}
				stopped = !yield(e)
				return !stopped && !done
			}
			return true
		})
		switch {
		case done || stopped || errors.Is(err, errSeen):
			return true, nil
		case ctx.Err() != nil:
			return true, ctx.Err()
		case errors.Is(err, errNoStream), errors.Is(err, errCutOff) && last == "":
			return false, err
		}
		if err := b.wait(ctx, err); err != nil {
			return true, err
		}
	}
}

// errSeen means that the client has already received the end of the execution.
var errSeen = errors.New("there is no newer state")

// stream opens a stream and calls handle with its events until handle returns false or
// the connection is lost.
func (c *Client) stream(ctx context.Context, path, last string, handle func(event) bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := time.AfterFunc(firstByte, func() { cancel(errNoStream) })
	defer quiet.Stop()
	r, err := c.request(ctx, call{path: path})
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "text/event-stream")
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	lost := func(err error) error {
		if err == nil {
			return nil
		}
		if errors.Is(context.Cause(ctx), errNoStream) {
			return errNoStream
		}
		return c.unreachable(err)
	}
	got, err := c.http.Do(r)
	if err != nil {
		return lost(err)
	}
	defer func() { _ = got.Body.Close() }()
	if err := isStream(got); err != nil {
		return err
	}
	events := newEventReader(got.Body, maxAnswer, func() { quiet.Reset(silence) })
	for n := 0; ; n++ {
		ev, err := events.next()
		if err = lost(err); err != nil && n == 0 && !errors.Is(err, errNoStream) {
			return fmt.Errorf("%w: %w", errCutOff, err)
		}
		if err != nil {
			return err
		}
		if !handle(ev) {
			return nil
		}
	}
}

// isStream returns nil if an answer is a stream. An error without the envelope of the service
// comes from a proxy. That proxy may let other requests pass, so it counts as errNoStream.
func isStream(got *http.Response) error {
	kind, _, _ := mime.ParseMediaType(got.Header.Get("Content-Type"))
	switch {
	case got.StatusCode == http.StatusNoContent:
		return errSeen
	case got.StatusCode == http.StatusOK && kind == "text/event-stream":
		return nil
	case got.StatusCode == http.StatusOK, got.StatusCode == http.StatusNotAcceptable:
		return errNoStream
	}
	body := make([]byte, 4<<10)
	n, _ := got.Body.Read(body)
	_, err := data(got, body[:n], retryAfter(got.Header.Get("Retry-After"), time.Now()))
	if answered, ok := errors.AsType[*Error](err); ok && answered.Code == codeUnexpected {
		return errNoStream
	}
	return err
}

// poller sends long polls or, if the service does not wait, polls at intervals.
type poller struct {
	client   *Client
	path     string // with a query
	untilEnd bool   // only the end is of interest
	arrived  bool   // the service has answered before
}

// next returns the request that follows the answer with the tag. The first request waits
// only if the caller wants only the end; otherwise the current state comes first.
func (p *poller) next(tag string, quick bool) call {
	if tag == "" && !p.untilEnd {
		return call{path: p.path}
	}
	q := call{path: p.path + "&wait=" + strconv.Itoa(int(longPoll/time.Second)), wait: longPoll}
	if !p.untilEnd || quick {
		q.tag = tag
	}
	return q
}

// states yields each state that differs from the one before, until the iteration stops.
// An error ends it.
func (p *poller) states(ctx context.Context) iter.Seq2[*Execution, error] {
	return func(yield func(*Execution, error) bool) {
		backoff, tag, quick := newBackoff(), "", 0
		backoff.arrived = p.arrived
		var shown *Execution
		for {
			begun := time.Now()
			a, err := p.client.send(ctx, p.next(tag, quick >= maxEarly))
			if err != nil {
				if err = backoff.wait(ctx, err); err != nil {
					yield(nil, err)
					return
				}
				continue
			}
			backoff.succeeded()
			news := !a.same && (a.tag != tag || a.tag == "")
			if a.tag != "" {
				tag = a.tag
			}
			if news {
				e, err := execution(a.data)
				if err == nil && shown != nil && e.Version < shown.Version {
					continue
				}
				if shown = e; !yield(e, err) || err != nil {
					return
				}
				continue
			}
			if quick++; time.Since(begun) >= early {
				quick = 0
			}
			if quick >= maxEarly {
				if err := sleep(ctx, min(max(a.retryAfter, pollQuickest), pollSlowest)); err != nil {
					yield(nil, err)
					return
				}
			}
		}
	}
}
