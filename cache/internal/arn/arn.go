package arn

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrInvalid means that a text is not the ARN of an execution.
var ErrInvalid = errors.New("not the ARN of a Step Functions execution")

// Execution is the ARN of an execution. For text from outside, use only Parse, so that a
// value of this type is always well formed.
type Execution string

const (
	maxARNLength  = 1024 // bytes; AWS allows 80 characters a name, up to 4 bytes each
	maxNameLength = 80   // characters
)

// Parse checks s against the grammar of execution ARNs,
//
//	arn:{aws…}:states:{region}:{account}:execution:{machine}[/{label}]:{name}
//
// and the one of Express children of a Distributed Map, whose name holds a
// colon. Its error wraps ErrInvalid and says which part is wrong; it never
// quotes s.
func Parse(s string) (Execution, error) {
	if len(s) > maxARNLength {
		return "", fmt.Errorf("%w: longer than %d bytes", ErrInvalid, maxARNLength)
	}
	rest := s
	for _, part := range arnHead {
		var text string
		var found bool
		text, rest, found = strings.Cut(rest, ":")
		if !found || !part.valid(text) {
			return "", fmt.Errorf("%w: %s is missing or malformed", ErrInvalid, part.name)
		}
	}
	kind, rest, _ := strings.Cut(rest, ":")
	machine, name, found := strings.Cut(rest, ":")
	if !found {
		return "", fmt.Errorf("%w: it must have a resource type, a state machine and a name", ErrInvalid)
	}
	if !validMachine(machine) {
		return "", fmt.Errorf("%w: the state machine name is malformed", ErrInvalid)
	}
	if !validExecutionName(kind, name) {
		return "", fmt.Errorf("%w: the execution name is malformed", ErrInvalid)
	}
	return Execution(s), nil
}

// arnHead are the parts of an ARN before its resource, in order.
var arnHead = []struct {
	name  string
	valid func(string) bool
}{
	{"the prefix arn", func(s string) bool { return s == "arn" }},
	{"the partition", func(s string) bool { return strings.HasPrefix(s, "aws") && isLower(s, false) }},
	{"the service states", func(s string) bool { return s == "states" }},
	{"the region", func(s string) bool { return s != "" && isLower(s, true) }},
	{"the account", isAccount},
}

func isLower(s string, digits bool) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && c != '-' && (!digits || c < '0' || c > '9') {
			return false
		}
	}
	return len(s) <= 32
}

func isAccount(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return len(s) == 12
}

// validMachine accepts the name of a state machine, followed by a slash and the label of
// a Map Run if the execution is a child of one.
func validMachine(s string) bool {
	machine, label, child := strings.Cut(s, "/")
	return ValidName(machine) && (!child || ValidName(label))
}

func validExecutionName(kind, s string) bool {
	switch kind {
	case "execution":
		return ValidName(s)
	case "express":
		name, run, found := strings.Cut(s, ":")
		return found && ValidName(name) && ValidName(run)
	}
	return false
}

// ValidName accepts the names that Step Functions accepts: 1 to 80 characters, none of
// them white space, a control character or one of a few marks.
func ValidName(s string) bool {
	if s == "" || len(s) > maxNameLength && utf8.RuneCountInString(s) > maxNameLength {
		return false
	}
	for i, r := range s {
		switch {
		case r < utf8.RuneSelf:
			if nameByte[r] {
				continue
			}
			return false
		case r == utf8.RuneError:
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return false
			}
		case unicode.IsSpace(r) || unicode.IsControl(r):
			return false
		}
	}
	return true
}

// nameByte marks the ASCII characters that a name may contain.
var nameByte = func() (ok [utf8.RuneSelf]bool) {
	for c := '!'; c < 0x7f; c++ {
		ok[c] = !strings.ContainsRune("<>{}[]?*\"#%\\^|~`$&,;:/", c)
	}
	return ok
}()

// Name returns the name of the execution: the part after its state machine.
func (a Execution) Name() string {
	_, name := a.resource()
	return name
}

// StateMachine returns the ARN of the state machine that the execution belongs
// to; for a child of a Distributed Map it ends in the label of the Map state. It
// is derived from a and not taken from an event, because events are known to
// carry malformed ones.
func (a Execution) StateMachine() string {
	machine, _ := a.resource()
	return string(a[:a.head()]) + "stateMachine:" + machine
}

// BelongsTo reports whether the execution is one of the state machine, or of a Distributed Map
// in that state machine.
func (a Execution) BelongsTo(stateMachineARN string) bool {
	own := a.StateMachine()
	if !strings.HasPrefix(own, stateMachineARN) {
		return false
	}
	tail := own[len(stateMachineARN):]
	return tail == "" || tail[0] == '/'
}

// Silent reports whether no event of the execution is ever sent: it is one of an Express
// state machine. Express children of a Distributed Map have events.
func (a Execution) Silent() bool {
	kind, rest, _ := strings.Cut(string(a[a.head():]), ":")
	machine, _, _ := strings.Cut(rest, ":")
	return kind == "express" && !strings.Contains(machine, "/")
}

// head returns how long the part of a before the resource type is.
func (a Execution) head() int {
	n := 0
	for range len(arnHead) {
		n += strings.IndexByte(string(a[n:]), ':') + 1
	}
	return n
}

func (a Execution) resource() (machine, name string) {
	_, rest, _ := strings.Cut(string(a[a.head():]), ":")
	machine, name, _ = strings.Cut(rest, ":")
	return machine, name
}
