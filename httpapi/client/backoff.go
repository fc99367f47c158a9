package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// How long to wait before the next try.
const (
	firstPause    = 250 * time.Millisecond
	longestPause  = 10 * time.Second
	maxRetryAfter = time.Minute     // longest Retry-After that is followed
	firstLimit    = 5 * time.Second // how long an execution may be unknown, or the service unavailable, before the first success
	laterLimit    = 2 * time.Minute // how long the service may be unavailable after that
)

// backoff decides whether and when to retry.
type backoff struct {
	pause   time.Duration
	since   time.Time // the beginning, or the last try that succeeded
	arrived bool      // a try has succeeded
}

func newBackoff() *backoff { return &backoff{pause: firstPause, since: time.Now()} }

// succeeded is called after a try that succeeded.
func (b *backoff) succeeded() { b.pause, b.since, b.arrived = firstPause, time.Now(), true }

// wait waits until the next try, or returns err if it is final.
func (b *backoff) wait(ctx context.Context, err error) error {
	wait, again := b.next(err)
	if !again {
		return err
	}
	if stopped := sleep(ctx, wait); stopped != nil {
		return stopped
	}
	return nil
}

func (b *backoff) next(err error) (wait time.Duration, again bool) {
	answered, ok := errors.AsType[*Error](err)
	unknown := ok && answered.StatusCode == http.StatusNotFound
	limit := firstLimit
	if b.arrived {
		limit = laterLimit
	}
	switch {
	case errors.Is(err, errLongEvent), unknown && b.arrived, ok && !unknown && !transient(answered.StatusCode), time.Since(b.since) > limit:
		return 0, false
	}
	wait = b.pause/2 + rand.N(b.pause/2) // jitter, so that not all clients try again together
	b.pause = min(2*b.pause, longestPause)
	if ok && !unknown {
		wait += answered.retryAfter
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

// retryAfter reads a Retry-After: seconds or a date. It returns 0 for anything else.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(header); err == nil {
		return min(max(time.Duration(min(seconds, 3600))*time.Second, 0), maxRetryAfter)
	}
	if date, err := http.ParseTime(header); err == nil {
		return min(max(date.Sub(now), 0), maxRetryAfter)
	}
	return 0
}
