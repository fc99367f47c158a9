// Package questions measures how long the questions about many executions take while events
// come in: it fills a Redis with executions, then asks statusd at a fixed rate.
package questions

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"time"

	"statuscache/cache"
)

// Population is the executions that the questions are about. All fields of an execution follow
// from its number, so the questions need not remember any.
type Population struct {
	Records, Machines, Owners int
	Until                     time.Time // when the newest of Records started
}

const (
	span      = 7 * 24 * time.Hour // in which Records started
	oneInRuns = 200                // one in so many still runs
	rulesets  = 40
)

// Owner returns the name of an owner.
func Owner(i int) string { return fmt.Sprintf("owner-%03d", i) }

func (p *Population) owner(i int) int { return int(scatter(i, "owner") % uint64(p.Owners)) }

// Machine returns the ARN of a state machine.
func (p *Population) Machine(i int) cache.MachineARN {
	return cache.MachineARN(fmt.Sprintf("arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline-%03d", i%p.Machines))
}

// ARN returns that of an execution.
func (p *Population) ARN(i int) cache.ARN {
	return p.Machine(int(scatter(i, "machine") % uint64(p.Machines))).Execution(fmt.Sprintf("order-%07d", i))
}

// scatter returns a number that follows from another, evenly distributed.
func scatter(i int, what string) uint64 {
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, i, what) // a hash does not fail
	return rand.New(rand.NewPCG(h.Sum64(), 1)).Uint64()
}

// begun returns an execution that runs.
func (p *Population) begun(i int, start time.Time) cache.Execution {
	labels := cache.Labels{"ruleset": fmt.Sprintf("rs-%02d", i%rulesets), "customer": fmt.Sprintf("c-%d", p.owner(i))}
	return cache.Execution{
		ARN: p.ARN(i), Status: cache.Running, StartDate: start, Completeness: cache.Complete, Source: cache.FromEvent,
		Owner: Owner(p.owner(i)), InputType: "url", Labels: labels,
	}
}

// took is how long an execution takes: about 20 s as a rule, now and then some minutes.
func took(i int) time.Duration {
	random := rand.New(rand.NewPCG(uint64(i), 2))
	return time.Duration(20e3*math.Exp(0.6*random.NormFloat64())) * time.Millisecond
}

// reasons are why executions fail.
var reasons = []struct{ name, message string }{
	{"States.Timeout", "the task timed out after %d s"},
	{"Lambda.TooManyRequestsException", "rate exceeded for request %08x"},
	{"RuleInvalid", `rule "r-%d" does not compile`},
	{"States.TaskFailed", "worker 10.0.0.%d left"},
	{"Fetch.NotFound", "nothing at https://example.com/reports/%d"},
	{"OutOfMemory", "%d MiB were not enough"},
}

// ended returns the end of an execution. One in ten fails.
func (p *Population) ended(i int, start, stop time.Time) cache.Execution {
	e := p.begun(i, start)
	e.StopDate = stop
	if number := scatter(i, "end"); number%10 == 0 {
		why := reasons[number/10%uint64(len(reasons))]
		e.Status, e.Error = cache.Failed, why.name
		e.ErrorMessage = why.name + ": " + fmt.Sprintf(why.message, i%200)
		return e
	}
	e.Status = cache.Succeeded
	e.Output = fmt.Appendf(nil, `{"rules":[],"metadata":{"inputType":"url","rulesGenerated":%d}}`, i%9)
	return e
}

// runs reports whether one of the Records still runs.
func runs(i int) bool { return i%oneInRuns == 0 }

// start is when one of the Records started that has ended: the last started last.
func (p *Population) start(i int) time.Time {
	return p.Until.Add(-span / time.Duration(p.Records) * time.Duration(p.Records-i)).Truncate(time.Millisecond)
}

// execution returns the latest state of one of the Records. The running ones started within the
// last minute, except one in fifty, which is overdue.
func (p *Population) execution(i int) cache.Execution {
	switch start := p.start(i); {
	case runs(i) && i%(50*oneInRuns) == 0:
		return p.begun(i, start)
	case runs(i):
		return p.begun(i, time.Now().Add(-time.Duration(scatter(i, "age")%60_000)*time.Millisecond))
	default:
		return p.ended(i, start, earlier(start.Add(took(i)), p.Until))
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
