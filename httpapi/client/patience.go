package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// How long to wait before another try.
const (
	firstPause    = 250 * time.Millisecond
	longestPause  = 10 * time.Second
	maxRetryAfter = time.Minute     // a service may ask for more; this is enough
	arrival       = 5 * time.Second // for which an execution may be unknown, or the service away at first
	outage        = 2 * time.Minute // for which the service may be away later
)

// patience decides about another try.
type patience struct {
	pause   time.Duration
	since   time.Time // the beginning, or the last try that went well
	arrived bool      // one did
}

func newPatience() *patience { return &patience{pause: firstPause, since: time.Now()} }

// good is called after a try that went well.
func (p *patience) good() { p.pause, p.since, p.arrived = firstPause, time.Now(), true }

// after waits until it is time to try again, or returns err if that is final.
func (p *patience) after(ctx context.Context, err error) error {
	wait, again := p.verdict(err)
	if !again {
		return err
	}
	if stopped := sleep(ctx, wait); stopped != nil {
		return stopped
	}
	return nil
}

func (p *patience) verdict(err error) (wait time.Duration, again bool) {
	said, ok := errors.AsType[*Error](err)
	unknown := ok && said.StatusCode == http.StatusNotFound
	limit := arrival
	if p.arrived {
		limit = outage
	}
	switch {
	case errors.Is(err, errLongEvent), unknown && p.arrived, ok && !unknown && !transient(said.StatusCode), time.Since(p.since) > limit:
		return 0, false
	}
	wait = p.pause/2 + rand.N(p.pause/2) // jitter, so that not all come back together
	p.pause = min(2*p.pause, longestPause)
	if ok && !unknown {
		wait += said.retryAfter
	}
	return wait, true
}

func transient(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// retryAfter reads a Retry-After: seconds or a date. What makes no sense is 0.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(header); err == nil {
		return min(max(time.Duration(min(seconds, 3600))*time.Second, 0), maxRetryAfter)
	}
	if date, err := http.ParseTime(header); err == nil {
		return min(max(date.Sub(now), 0), maxRetryAfter)
	}
	return 0
}
