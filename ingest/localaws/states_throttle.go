package localaws

import (
	"maps"
	"net/http"
	"time"

	"golang.org/x/time/rate"
)

// Throttling says how often the actions of Step Functions may be called. The zero Throttling
// allows all calls.
type Throttling struct {
	Buckets map[string]Bucket // by action; one without is not throttled
	// RefuseFor is for how long each call of an action is refused after its bucket
	// was found empty, even if the bucket fills meanwhile.
	RefuseFor time.Duration
}

// Bucket is a token bucket. It is full at first.
type Bucket struct {
	Size      int     // calls
	PerSecond float64 // calls per second that refill it
}

// RealThrottling returns the default limits of an account in a small region.
func RealThrottling() Throttling {
	return Throttling{Buckets: map[string]Bucket{
		"StartExecution":       {1300, 300},
		"DescribeExecution":    {300, 15},
		"ListExecutions":       {100, 5},
		"StopExecution":        {1000, 200},
		"RedriveExecution":     {1300, 300},
		"DescribeStateMachine": {200, 20},
		"ListStateMachines":    {100, 5},
	}}
}

// SetThrottling changes the limits. All buckets are full again.
func (s *Server) SetThrottling(t Throttling) {
	fresh := throttle{refuseFor: t.RefuseFor, limits: map[string]*actionLimit{}}
	for action, b := range t.Buckets {
		fresh.limits[action] = &actionLimit{bucket: rate.NewLimiter(rate.Limit(b.PerSecond), b.Size)}
	}
	s.states.lock.Lock()
	defer s.states.lock.Unlock()
	s.states.throttle = fresh
}

// Calls returns how often each action of any service was called, refused calls
// included.
func (s *Server) Calls() map[string]int {
	s.states.lock.Lock()
	defer s.states.lock.Unlock()
	return maps.Clone(s.states.calls)
}

func (s *states) count(action string) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.calls[action]++
}

type throttle struct {
	limits    map[string]*actionLimit // by action
	refuseFor time.Duration
}

type actionLimit struct {
	bucket *rate.Limiter
	until  time.Time // calls are refused before this time, even if the bucket is not empty
}

// allow reports whether an action may be called now.
func (t *throttle) allow(action string, at time.Time) bool {
	l := t.limits[action]
	if l == nil {
		return true
	}
	if at.Before(l.until) {
		return false
	}
	if l.bucket.AllowN(at, 1) {
		return true
	}
	l.until = at.Add(t.refuseFor)
	return false
}

// throttled limits how often an action answers.
func throttled(name string, act action) action {
	return func(s *Server, r *http.Request, body []byte) (any, error) {
		s.states.lock.Lock()
		allowed := s.states.throttle.allow(name, time.Now())
		s.states.lock.Unlock()
		if !allowed {
			return nil, errTooManyCalls
		}
		return act(s, r, body)
	}
}
