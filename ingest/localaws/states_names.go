package localaws

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const statesARN = "arn:aws:states:" + region + ":" + account + ":"

func machineARN(name string) string { return statesARN + "stateMachine:" + name }

func executionARN(machine, name string) string {
	return statesARN + "execution:" + machine + ":" + name
}

// validName reports whether Step Functions accepts a name for a state machine or an execution.
func validName(name string) bool {
	for _, c := range name {
		switch {
		case unicode.IsSpace(c), unicode.IsControl(c), strings.ContainsRune("<>{}[]?*\"#%\\^|~`$&,;:/", c),
			c >= 0xFFFE && c <= 0xFFFF, c == unicode.MaxRune:
			return false
		}
	}
	length := utf8.RuneCountInString(name)
	return utf8.ValidString(name) && length >= 1 && length <= 80
}

// machine returns the state machine of an ARN. The caller holds the lock.
func (s *states) machine(arn string) (*machine, error) {
	if !validStatesARN(arn, "stateMachine", 7) {
		return nil, errARN
	}
	m := s.machines[arn]
	if m == nil {
		return nil, errNoMachine
	}
	return m, nil
}

// find returns the execution of an ARN.
func (s *states) find(arn string) (*execution, error) {
	if !validStatesARN(arn, "execution", 8) {
		return nil, errARN
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	s.forget(now())
	e := s.executions[arn]
	if e == nil {
		return nil, errNoExecution
	}
	return e, nil
}

// validStatesARN reports whether an ARN of Step Functions has this kind of resource, in any
// account and region, and at least the given number of parts.
func validStatesARN(arn, kind string, parts int) bool {
	part := strings.Split(arn, ":")
	return len(part) >= parts && part[0] == "arn" && strings.HasPrefix(part[1], "aws") &&
		part[2] == "states" && part[3] != "" && len(part[4]) == len(account) && part[5] == kind
}
