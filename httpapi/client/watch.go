package client

import (
	"context"
	"errors"
	"iter"
	"mime"
	"net/http"
	"strconv"
	"time"
)

const (
	longPoll     = 20 * time.Second
	firstByte    = 5 * time.Second  // within which a stream begins, unless something on the way collects it
	silence      = 20 * time.Second // two heartbeats of the service and a margin; then something holds the stream back
	early        = time.Second      // a long poll that is answered sooner with nothing new did not wait
	maxEarly     = 3                // such answers in a row; then the service does not know how to wait
	pollSlowest  = 10 * time.Second
	pollQuickest = time.Second
)

// Wait returns an execution when it has ended, in the full view. It returns the
// error of ctx if that ends first, with the last state if there is one.
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

// Watch yields the current state of an execution and then each newer one, to its
// end. It follows a stream, or else asks long polls, or else polls. States of a
// stream are not of the full view; the last one is. An error ends it.
func (c *Client) Watch(ctx context.Context, executionARN string) iter.Seq2[*Execution, error] {
	return func(yield func(*Execution, error) bool) {
		var version string
		newer := func(e *Execution) bool {
			if e.Version <= version {
				return true // nobody sees time run back
			}
			version = e.Version
			return yield(e, nil)
		}
		ended, err := c.followStream(ctx, executionARN, newer)
		if ended {
			if err != nil {
				yield(nil, err)
			}
			return
		}
		p := &poller{client: c, path: statusPath(executionARN) + "?view=full"}
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

var errNoStream = errors.New("no stream is to be had")

// followStream yields what a stream tells, and comes back when it is lost. ended
// says that there is nothing more to come or that nobody wants more. errNoStream
// says that there are no streams here, or that a front collects them, so that their
// heartbeats do not arrive: then long polls are the better way.
func (c *Client) followStream(ctx context.Context, arn string, yield func(*Execution) bool) (ended bool, err error) {
	var last string
	done, stopped := false, false
	p := newPatience()
	for {
		err := c.stream(ctx, statusPath(arn), last, func(ev event) bool {
			p.good()
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
		case errors.Is(err, errNoStream):
			return false, err
		}
		if err := p.after(ctx, err); err != nil {
			return true, err
		}
	}
}

// errSeen says that the end of the execution was seen before.
var errSeen = errors.New("nothing newer comes")

// stream opens a stream and hands over its events until told returns false or it
// is lost.
func (c *Client) stream(ctx context.Context, path, last string, told func(event) bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := time.AfterFunc(firstByte, func() { cancel(errNoStream) })
	defer quiet.Stop()
	r, err := c.request(ctx, question{path: path})
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "text/event-stream")
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	lost := func(err error) error {
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
	for {
		ev, err := events.next()
		if err != nil {
			return lost(err)
		}
		if !told(ev) {
			return nil
		}
	}
}

// isStream tells a stream from the answers of who cannot send one.
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
	return err
}

// poller asks long polls, and where the service does not wait, at intervals.
type poller struct {
	client   *Client
	path     string // with a query
	untilEnd bool   // nothing but the end is of interest
}

// next is the question that follows what has the tag. Only who waits for the end does
// so from the first question on: others want to see the present state first.
func (p *poller) next(tag string, quick bool) question {
	if tag == "" && !p.untilEnd {
		return question{path: p.path}
	}
	q := question{path: p.path + "&wait=" + strconv.Itoa(int(longPoll/time.Second)), wait: longPoll}
	if !p.untilEnd || quick {
		q.tag = tag
	}
	return q
}

// states yields each state that differs from the one before, until the iteration
// is left. An error ends it.
func (p *poller) states(ctx context.Context) iter.Seq2[*Execution, error] {
	return func(yield func(*Execution, error) bool) {
		patience, tag, quick := newPatience(), "", 0
		var shown *Execution
		for {
			begun := time.Now()
			a, err := p.client.ask(ctx, p.next(tag, quick >= maxEarly))
			if err != nil {
				if err = patience.after(ctx, err); err != nil {
					yield(nil, err)
					return
				}
				continue
			}
			patience.good()
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
