package localaws

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"
)

// definition is the definition of every state machine. It does not say what the machine does.
const definition = `{"StartAt":"Plot","States":{"Plot":{"Type":"Pass","End":true}}}`

func (s *Server) startExecution(_ *http.Request, in startExecutionRequest) (any, error) {
	state, err := s.StartExecution(in.StateMachineARN, in.Name, in.Input)
	if err != nil {
		return nil, err
	}
	return startedResult{state.ARN, date{state.StartDate}}, nil
}

func (s *Server) describeExecution(_ *http.Request, in executionRequest) (any, error) {
	e, err := s.states.find(in.ExecutionARN)
	if err != nil {
		return nil, err
	}
	s.states.lock.Lock()
	defer s.states.lock.Unlock()
	seen := e.seen(time.Now(), s.states.lag)
	if seen == nil {
		return nil, errNoExecution
	}
	result := executionResult{
		listedExecution: seen.listed(), Input: seen.Input, InputDetails: included{true},
		Output: orNull(seen.Output), Error: orNull(seen.Error), Cause: orNull(seen.Cause),
	}
	if result.Output != nil {
		result.OutputDetails = &included{true}
	}
	result.RedriveStatus, result.RedriveStatusReason = seen.redriveStatus(now())
	return result, nil
}

func (e *ExecutionState) listed() listedExecution {
	return listedExecution{
		ExecutionARN: e.ARN, StateMachineARN: e.StateMachineARN, Name: e.Name, Status: e.Status,
		StartDate: date{e.StartDate}, StopDate: date{e.StopDate},
		RedriveCount: e.RedriveCount, RedriveDate: date{e.RedriveDate},
	}
}

func (s *Server) stopExecution(_ *http.Request, in stopExecutionRequest) (any, error) {
	if utf8.RuneCountInString(in.Error) > maxErrorLength || utf8.RuneCountInString(in.Cause) > maxCauseLength {
		return nil, validationError(fmt.Sprintf("error may have %d characters, cause %d", maxErrorLength, maxCauseLength))
	}
	state, err := s.states.stop(in.ExecutionARN, in.Error, in.Cause)
	if err != nil {
		return nil, err
	}
	return stoppedResult{date{state.StopDate}}, nil
}

func (s *Server) redriveExecution(_ *http.Request, in redriveExecutionRequest) (any, error) {
	state, err := s.states.redrive(in.ExecutionARN, in.ClientToken)
	if err != nil {
		return nil, err
	}
	return redrivenResult{date{state.RedriveDate}}, nil
}

func (s *Server) describeStateMachine(_ *http.Request, in stateMachineRequest) (any, error) {
	s.states.lock.Lock()
	defer s.states.lock.Unlock()
	m, err := s.states.machine(in.StateMachineARN)
	if err != nil {
		return nil, err
	}
	return machineResult{
		listedMachine: m.listed(), Status: "ACTIVE", Definition: definition,
		RoleARN: "arn:aws:iam::" + account + ":role/" + m.name,
	}, nil
}

func (s *Server) listStateMachines(*http.Request, listStateMachinesRequest) (any, error) {
	s.states.lock.Lock()
	defer s.states.lock.Unlock()
	result := machinesResult{StateMachines: []listedMachine{}}
	for _, arn := range slices.Sorted(maps.Keys(s.states.machines)) {
		result.StateMachines = append(result.StateMachines, s.states.machines[arn].listed())
	}
	return result, nil
}

func (m *machine) listed() listedMachine {
	return listedMachine{m.arn, m.name, "STANDARD", date{m.created}}
}
