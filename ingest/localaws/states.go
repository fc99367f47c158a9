package localaws

import (
	"container/list"
	"iter"
	"slices"
	"sync"
	"time"
)

// What Step Functions allows.
const (
	maxPayloadBytes   = 262_144 // of an input and of an output
	maxErrorLength    = 256     // characters
	maxCauseLength    = 32_768  // characters
	maxExecutions     = 1_000_000
	maxRedrives       = 1_000
	redrivablePeriod  = 14 * 24 * time.Hour // from the stop date
	historyPeriod     = 90 * 24 * time.Hour // from the stop date; after that the name is free again
	redriveTokenValid = 15 * time.Minute
)

const defaultKept = 100_000 // closed executions

// Statuses of an execution.
const (
	running   = "RUNNING"
	succeeded = "SUCCEEDED"
	failed    = "FAILED"
	timedOut  = "TIMED_OUT"
	aborted   = "ABORTED"
)

// Attempt is an execution that starts or is redriven. Its plot describes its course.
type Attempt struct {
	ARN          string
	Name         string
	Input        string // JSON
	RedriveCount int    // 0: the execution starts
}

// Ending says when and how an attempt ends. With the zero Ending, it runs until it is stopped.
// Texts must be UTF-8.
type Ending struct {
	After  time.Duration // since the attempt began
	Status string        // SUCCEEDED, FAILED or TIMED_OUT; empty: never
	Output string        // JSON; of SUCCEEDED
	Error  string        // of FAILED; empty: null
	Cause  string        // of FAILED; empty: null
	// RedriveAfter is the pause after which the execution is redriven without
	// anybody asking for it; 0: it is not.
	RedriveAfter time.Duration
}

// Plot decides how attempts end. It is called from many goroutines at once, and
// never while executions are locked.
type Plot func(Attempt) Ending

// ExecutionState is the true state of an execution at a time. Dates are in whole milliseconds.
type ExecutionState struct {
	ARN, Name, StateMachineARN string
	Status                     string // RUNNING, SUCCEEDED, FAILED, TIMED_OUT or ABORTED
	StartDate                  time.Time
	StopDate                   time.Time // zero while it runs
	RedriveDate                time.Time // zero: never redriven
	RedriveCount               int
	Input                      string // JSON
	Output                     string // JSON; of SUCCEEDED
	Error, Cause               string // empty: null

	changed time.Time
}

// states are the state machines and their executions.
type states struct {
	publish func(event []byte)
	ending  <-chan struct{} // after it is closed, no timer has an effect

	lock       sync.Mutex
	machines   map[string]*machine   // by ARN
	executions map[string]*execution // by ARN
	closed     *list.List            // of *execution, by stop date
	kept       int                   // how many closed executions are remembered
	lag        time.Duration
	throttle   throttle
	emission   Emission
	emitted    Emitted
	calls      map[string]int
	started    int64 // executions so far
}

type machine struct {
	arn, name  string
	created    time.Time
	plot       Plot
	executions *list.List // of *execution, newest first
}

// execution is a stored execution. Its last state is the true one; readers still see the
// earlier ones during the lag.
type execution struct {
	machine      *machine
	number       int64 // counts all executions up
	states       []ExecutionState
	inMachine    *list.Element
	inClosed     *list.Element // nil while it runs
	redriveToken string        // of the last redrive
}

func newStates(publish func([]byte), ending <-chan struct{}) *states {
	return &states{
		publish: publish, ending: ending, kept: defaultKept, closed: list.New(),
		machines: map[string]*machine{}, executions: map[string]*execution{}, calls: map[string]int{},
	}
}

// CreateStateMachine creates a state machine whose executions follow the plot, and returns its
// ARN. It panics if Step Functions would answer with an error: the name is wrong or in use.
func (s *Server) CreateStateMachine(name string, plot Plot) (arn string) {
	arn = machineARN(name)
	s.states.lock.Lock()
	defer s.states.lock.Unlock()
	if !validName(name) || s.states.machines[arn] != nil {
		panic("localaws: create state machine " + name + ": the name is wrong or taken")
	}
	s.states.machines[arn] = &machine{
		arn: arn, name: name, created: now(), plot: plot, executions: list.New(),
	}
	return arn
}

// SetLag makes readers of executions (DescribeExecution, ListExecutions) see a change only
// after some time. Set it before executions start.
func (s *Server) SetLag(lag time.Duration) {
	s.states.lock.Lock()
	defer s.states.lock.Unlock()
	s.states.lag = lag
}

// SetKept bounds how many closed executions are remembered, 100,000 initially.
// Those that closed first are forgotten first.
func (s *Server) SetKept(executions int) {
	s.states.lock.Lock()
	defer s.states.lock.Unlock()
	s.states.kept = executions
	s.states.forget(now())
}

// Execution returns the true state of an execution, without lag and throttling,
// and whether it is remembered.
func (s *Server) Execution(arn string) (ExecutionState, bool) {
	s.states.lock.Lock()
	defer s.states.lock.Unlock()
	e := s.states.executions[arn]
	if e == nil {
		return ExecutionState{}, false
	}
	return *e.state(), true
}

// Executions returns the true states of all executions that are remembered, as
// they are when the iteration begins, in no order.
func (s *Server) Executions() iter.Seq[ExecutionState] {
	return func(yield func(ExecutionState) bool) {
		for _, state := range s.states.snapshot() {
			if !yield(state) {
				return
			}
		}
	}
}

func (s *states) snapshot() []ExecutionState {
	s.lock.Lock()
	defer s.lock.Unlock()
	all := make([]ExecutionState, 0, len(s.executions))
	for _, e := range s.executions {
		all = append(all, *e.state())
	}
	return all
}

// state is the true state.
func (e *execution) state() *ExecutionState { return &e.states[len(e.states)-1] }

// seen is the state that readers see; nil while they see none.
func (e *execution) seen(at time.Time, lag time.Duration) *ExecutionState {
	for i := len(e.states) - 1; i >= 0; i-- {
		if !e.states[i].changed.Add(lag).After(at) {
			return &e.states[i]
		}
	}
	return nil
}

// becomes adds a state, and drops those that no reader will see again.
func (e *execution) becomes(next ExecutionState, lag time.Duration) {
	e.states = append(e.states, next)
	for len(e.states) > 1 && !e.states[1].changed.Add(lag).After(next.changed) {
		e.states = slices.Delete(e.states, 0, 1)
	}
}

// forget removes closed executions if there are too many, or if they are too old.
func (s *states) forget(at time.Time) {
	for front := s.closed.Front(); front != nil; front = s.closed.Front() {
		e := front.Value.(*execution)
		if s.closed.Len() <= s.kept && at.Sub(e.state().StopDate) < historyPeriod {
			return
		}
		s.closed.Remove(front)
		e.machine.executions.Remove(e.inMachine)
		delete(s.executions, e.state().ARN)
	}
}

// now is the time in the precision of Step Functions.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }
