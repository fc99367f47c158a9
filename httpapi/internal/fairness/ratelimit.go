package fairness

import (
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"statuscache/httpapi/internal/envelope"
)

const (
	burstSeconds   = 2    // a bucket contains the requests of this many seconds
	preparedStates = 4096 // header values made in advance
)

// RateLimits limits the requests per second of each principal in this process
// (RATE_LIMIT). A nil *RateLimits allows everything.
type RateLimits struct {
	perSecond int
	burst     int
	policy    []string
	states    [][]string            // the header RateLimit by the number of requests left
	last      atomic.Pointer[state] // the latest that is not in states
}

// state is the number of requests left, and the header RateLimit for it.
type state struct {
	left   int
	header []string
}

// NewRateLimits returns nil for 0: no limit.
func NewRateLimits(perSecond int) *RateLimits {
	if perSecond == 0 {
		return nil
	}
	l := &RateLimits{
		perSecond: perSecond,
		burst:     burstSeconds * perSecond,
	}
	l.policy = []string{fmt.Sprintf(`"default";q=%d;w=%d`, l.burst, burstSeconds)}
	for left := range min(l.burst+1, preparedStates) {
		l.states = append(l.states, l.describe(left))
	}
	return l
}

// Bucket returns a full bucket for a new caller.
func (l *RateLimits) Bucket() *rate.Limiter {
	if l == nil {
		return nil
	}
	return rate.NewLimiter(rate.Limit(l.perSecond), l.burst)
}

// Take counts a request against a bucket, and writes the headers that say how
// many more are left.
func (l *RateLimits) Take(h http.Header, bucket *rate.Limiter, now time.Time) error {
	if l == nil {
		return nil
	}
	allowed := bucket.AllowN(now, 1)
	tokens := bucket.TokensAt(now)
	l.describeIn(h, tokens)
	if !allowed {
		missing := 1 - tokens
		return envelope.RateLimitExceeded(time.Duration(missing / float64(l.perSecond) * float64(time.Second)))
	}
	return nil
}

// Owe counts the additional cost of an accepted request. This may overdraw the bucket, so
// that later requests must wait.
func (l *RateLimits) Owe(h http.Header, bucket *rate.Limiter, now time.Time, more int) {
	if l == nil {
		return
	}
	for ; more > 0; more -= l.burst {
		bucket.ReserveN(now, min(more, l.burst))
	}
	l.describeIn(h, bucket.TokensAt(now))
}

func (l *RateLimits) describeIn(h http.Header, tokens float64) {
	h["Ratelimit-Policy"] = l.policy
	h["Ratelimit"] = l.state(int(max(tokens, 0)))
}

func (l *RateLimits) state(left int) []string {
	if left < len(l.states) {
		return l.states[left]
	}
	last := l.last.Load()
	if last == nil || last.left != left {
		last = &state{left, l.describe(left)}
		l.last.Store(last)
	}
	return last.header
}

// describe returns how many requests are left, and after how many seconds the bucket is full again.
func (l *RateLimits) describe(left int) []string {
	full := (l.burst - left + l.perSecond - 1) / l.perSecond
	b := append(make([]byte, 0, 32), `"default";r=`...)
	b = strconv.AppendInt(b, int64(left), 10)
	b = append(b, ";t="...)
	return []string{string(strconv.AppendInt(b, int64(full), 10))}
}
