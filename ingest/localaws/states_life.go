package localaws

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// StartExecution starts an execution of a state machine, as the action of this
// name does. An empty name becomes a UUID, an empty input {}. Errors are those
// that Step Functions answers with, such as ExecutionAlreadyExists.
func (s *Server) StartExecution(stateMachineARN, name, input string) (ExecutionState, error) {
	if name == "" {
		name = newID()
	}
	if input == "" {
		input = "{}"
	}
	switch {
	case !validName(name):
		return ExecutionState{}, errName
	case len(input) > maxPayloadBytes || !jsontext.Value(input).IsValid():
		return ExecutionState{}, errInput
	}
	e, state, begun, err := s.states.start(stateMachineARN, name, input)
	if begun {
		s.states.follow(e, state)
	}
	return state, err
}

// start returns the started execution, or a running one with the same name and input, and
// whether it began with this call.
func (s *states) start(machineARN, name, input string) (e *execution, state ExecutionState, begun bool, err error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	m, err := s.machine(machineARN)
	if err != nil {
		return nil, ExecutionState{}, false, err
	}
	at := now()
	s.forget(at)
	arn := executionARN(m.name, name)
	if e = s.executions[arn]; e != nil {
		if same := *e.state(); same.Status == running && same.Input == input {
			return e, same, false, nil
		}
		return nil, ExecutionState{}, false, errExecutionExists
	}
	if len(s.executions) >= maxExecutions {
		return nil, ExecutionState{}, false, errTooManyExecutions
	}
	s.started++
	state = ExecutionState{
		ARN: arn, Name: name, StateMachineARN: m.arn, Status: running,
		StartDate: at, Input: input, changed: time.Now(),
	}
	e = &execution{machine: m, number: s.started, states: []ExecutionState{state}}
	e.inMachine = m.executions.PushFront(e)
	s.executions[arn] = e
	return e, state, true, nil
}

// follow publishes the start of an attempt, and ends it as its plot says.
func (s *states) follow(e *execution, began ExecutionState) {
	s.emit(began)
	ending := e.machine.plot(Attempt{
		ARN: began.ARN, Name: began.Name, Input: began.Input, RedriveCount: began.RedriveCount,
	})
	if ending.Status == "" {
		return
	}
	s.after(ending.After, func() { s.end(e, began.RedriveCount, ending) })
}

// after calls f after some time, unless the server has stopped by then.
func (s *states) after(d time.Duration, f func()) {
	time.AfterFunc(d, func() {
		select {
		case <-s.ending:
		default:
			f()
		}
	})
}

// end ends an attempt as planned, unless it ended in another way.
func (s *states) end(e *execution, attempt int, ending Ending) {
	if ending.Status == succeeded && len(ending.Output) > maxPayloadBytes {
		ending = Ending{
			Status: failed, Error: "States.DataLimitExceeded",
			Cause: "The output is longer than 262144 bytes.", RedriveAfter: ending.RedriveAfter,
		}
	}
	state, ended := s.close(e, func(next *ExecutionState) bool {
		next.Status, next.Output = ending.Status, ending.Output
		next.Error, next.Cause = ending.Error, ending.Cause
		return next.RedriveCount == attempt
	})
	if !ended {
		return
	}
	s.emit(state)
	if ending.RedriveAfter > 0 && ending.Status != succeeded {
		s.after(ending.RedriveAfter, func() {
			s.redriveAttempt(state.ARN, state.RedriveCount)
		})
	}
}

// stop aborts an execution. A closed execution does not change.
func (s *states) stop(arn, errorName, cause string) (ExecutionState, error) {
	e, err := s.find(arn)
	if err != nil {
		return ExecutionState{}, err
	}
	state, ended := s.close(e, func(next *ExecutionState) bool {
		next.Status, next.Error, next.Cause = aborted, errorName, cause
		return true
	})
	if ended {
		s.emit(state)
	}
	return state, nil
}

// close ends a running execution if change agrees, which gets the next state and fills it in.
// It returns the state, and whether the execution ended with this call.
func (s *states) close(e *execution, change func(next *ExecutionState) bool) (state ExecutionState, ended bool) {
	s.lock.Lock()
	defer s.lock.Unlock()
	next := *e.state()
	if next.Status != running || !change(&next) {
		return *e.state(), false
	}
	next.StopDate, next.changed = now(), time.Now()
	e.becomes(next, s.lag)
	e.inClosed = s.closed.PushBack(e)
	s.forget(next.StopDate)
	return next, true
}

// redriveAttempt redrives an execution unless a caller has redriven it. If it can no longer be
// redriven, the error is ignored, because there is no caller.
func (s *states) redriveAttempt(arn string, attempt int) {
	e, err := s.find(arn)
	if err != nil {
		return
	}
	state, err := s.reopen(e, "", func(now ExecutionState) bool { return now.RedriveCount == attempt })
	if err == nil {
		s.follow(e, state)
	}
}

// redrive redrives an execution. The token distinguishes a repeated call from a new one; it may
// be empty.
func (s *states) redrive(arn, token string) (ExecutionState, error) {
	e, err := s.find(arn)
	if err != nil {
		return ExecutionState{}, err
	}
	if state, repeated := s.redriven(e, token); repeated {
		return state, nil
	}
	state, err := s.reopen(e, token, func(ExecutionState) bool { return true })
	if err == nil {
		s.follow(e, state)
	}
	return state, err
}

// redriven reports whether a token belongs to the last redrive.
func (s *states) redriven(e *execution, token string) (ExecutionState, bool) {
	s.lock.Lock()
	defer s.lock.Unlock()
	state := *e.state()
	repeated := token != "" && token == e.redriveToken && time.Since(state.RedriveDate) < redriveTokenValid
	return state, repeated
}

// reopen lets a closed execution run again if agree, which gets its state, says so.
func (s *states) reopen(e *execution, token string, agree func(ExecutionState) bool) (ExecutionState, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	next := *e.state()
	at := now()
	if reason := next.notRedrivable(at); reason != "" {
		return next, &Error{Code: "ExecutionNotRedrivable", Message: reason}
	}
	if s.executions[next.ARN] != e || !agree(next) {
		return next, errNoExecution
	}
	next.Status, next.StopDate, next.Error, next.Cause = running, time.Time{}, "", ""
	next.RedriveCount, next.RedriveDate, next.changed = next.RedriveCount+1, at, time.Now()
	e.becomes(next, s.lag)
	s.closed.Remove(e.inClosed)
	e.inClosed, e.redriveToken = nil, token
	return next, nil
}

// notRedrivable returns why an execution cannot be redriven, in the words of
// Step Functions; empty: it can.
func (e *ExecutionState) notRedrivable(at time.Time) string {
	switch {
	case e.Status == running || e.Status == succeeded:
		return "Execution is " + e.Status + " and cannot be redriven"
	case at.Sub(e.StopDate) > redrivablePeriod:
		return "Execution redrivable period exceeded"
	case e.RedriveCount >= maxRedrives:
		return "Execution history event limit exceeded"
	}
	return ""
}

func (e *ExecutionState) redriveStatus(at time.Time) (status string, reason *string) {
	if why := e.notRedrivable(at); why != "" {
		return "NOT_REDRIVABLE", &why
	}
	return "REDRIVABLE", nil
}
