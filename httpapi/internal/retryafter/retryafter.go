package retryafter

import (
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"statuscache/cache"
	"statuscache/cache/boundedmap"
)

const (
	maxPaces = 10_000      // state machines whose pace is remembered
	paceLife = time.Minute // then the usual durations may have changed
)

// Paces has the times after which to poll again, by state machine.
type Paces struct {
	typical func(stateMachine string) (e Ends, known bool)
	known   boundedmap.ByText[*pace]
}

// pace has the times for polling executions of one state machine.
type pace struct {
	plan  *Plan // nil: too little is known
	until time.Time
	made  atomic.Bool // a request makes its successor, or has made it
}

// NewPaces returns Paces that use the durations that typical returns for a state machine; nil: no
// durations are known.
func NewPaces(typical func(stateMachine string) (e Ends, known bool)) *Paces {
	return &Paces{typical: typical, known: boundedmap.NewByText[*pace](maxPaces)}
}

// After returns the header Retry-After of a running execution. It allocates only when it
// makes a plan.
func (p *Paces) After(r *cache.Record, now time.Time) []string {
	age := now.Sub(r.StartDate)
	if p.typical == nil || !r.Version.FirstAttempt() { // the age of a redriven execution is not how long the redrive has run
		return pollAgainAfter(age)
	}
	plan := p.plan(r.ARN, now)
	if plan == nil {
		return pollAgainAfter(age)
	}
	return retryAfter[plan.After(age)]
}

// plan returns the plan for the state machine of an execution. From time to time, a
// request makes a new plan.
func (p *Paces) plan(arn cache.ARN, now time.Time) *Plan {
	executions := string(arn[:strings.LastIndexByte(string(arn), ':')]) // without the name: StateMachine would allocate
	known, ok := p.known.Get(executions)
	if ok && (now.Before(known.until) || !known.made.CompareAndSwap(false, true)) {
		return known.plan
	}
	next := &pace{until: now.Add(paceLife)}
	if ends, ok := p.typical(arn.StateMachine()); ok {
		next.plan = New(ends)
	}
	if next.plan == nil {
		next.until = now.Add(paceLife / 6)
	}
	p.known.Set(executions, next)
	return next.plan
}

// retryAfter has the values of the Retry-After header, by seconds.
var retryAfter = func() (values [Longest + 1][]string) {
	for seconds := range values {
		values[seconds] = []string{strconv.Itoa(seconds)}
	}
	return values
}()

// pollAgainAfter is the Retry-After, by age, of an execution whose usual duration is not
// known: the longer it has been running, the longer it may still take.
func pollAgainAfter(age time.Duration) []string {
	for _, step := range pollSteps {
		if age < step.below {
			return retryAfter[step.seconds]
		}
	}
	return retryAfter[pollSlowest]
}

var pollSteps = []struct {
	below   time.Duration
	seconds int
}{
	{15 * time.Second, 2},
	{30 * time.Second, 3},
	{time.Minute, 5},
	{2 * time.Minute, 8},
}

const pollSlowest = 10 // seconds
