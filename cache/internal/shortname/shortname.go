package shortname

import (
	"encoding/hex"
	"strings"
)

const (
	packed = 1
	named  = 2
)

// MachineLength is how long the identifier of a state machine is, in bytes.
const MachineLength = 6

const (
	executionKind = ":execution:"
	machineKind   = ":stateMachine:"
)

// Short returns the short form of an ARN whose state machine has an identifier. For an
// Express child of a Distributed Map, which has no short form, it returns the ARN.
func Short(arn string, machine [MachineLength]byte) string {
	_, rest, found := strings.Cut(arn, executionKind)
	_, name, named2 := strings.Cut(rest, ":")
	if !found || !named2 || strings.Contains(name, ":") {
		return arn
	}
	b := make([]byte, 0, 1+MachineLength+len(name))
	if b, ok := appendPacked(append(append(b, packed), machine[:]...), name); ok {
		return string(b)
	}
	return string(append(append(append(b, named), machine[:]...), name...))
}

// appendPacked appends a name as 16 bytes if it is a lower-case UUID.
func appendPacked(b []byte, name string) ([]byte, bool) {
	if len(name) != 36 || name[8] != '-' || name[13] != '-' || name[18] != '-' || name[23] != '-' {
		return b, false
	}
	digits := name[:8] + name[9:13] + name[14:18] + name[19:23] + name[24:]
	for i := range len(digits) {
		if c := digits[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return b, false
		}
	}
	b, err := hex.AppendDecode(b, []byte(digits))
	return b, err == nil
}

// IsShort reports whether a member is a short form.
func IsShort(member string) bool {
	return len(member) > 1+MachineLength && (member[0] == packed && len(member) == 1+MachineLength+16 || member[0] == named)
}

// machineOf returns the identifier in a short form.
func machineOf(short string) string { return short[1 : 1+MachineLength] }

// executionPrefix returns what precedes the name in the ARNs of a state machine's executions.
func executionPrefix(stateMachine string) string {
	return strings.Replace(stateMachine, machineKind, executionKind, 1) + ":"
}

// long returns the ARN of a short form. It is given the part of the ARN before the name.
func long(short, prefix string) string {
	name := short[1+MachineLength:]
	if short[0] == packed {
		d := hex.EncodeToString([]byte(name))
		name = d[:8] + "-" + d[8:12] + "-" + d[12:16] + "-" + d[16:20] + "-" + d[20:]
	}
	return prefix + name
}
