package localaws

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
)

const maxMessageAttributes = 10

// messageAttribute is an attribute that a sender may add to a message.
type messageAttribute struct {
	DataType    string // String, Number or Binary, with a label after a dot
	StringValue string `json:",omitzero"`
	BinaryValue []byte `json:",omitzero"`
}

type messageAttributes map[string]messageAttribute

// check returns an error that names the attribute that SQS would not accept.
func (m messageAttributes) check() error {
	if len(m) > maxMessageAttributes {
		return invalidParameter("MessageAttributes", len(m), "at most 10")
	}
	for name, a := range m {
		valid := a.kind() == "String" || a.kind() == "Number"
		if a.kind() == "Binary" {
			valid = len(a.BinaryValue) > 0 && a.StringValue == ""
		} else {
			valid = valid && a.StringValue != "" && len(a.BinaryValue) == 0
		}
		if !valid || name == "" || len(name) > 256 {
			return invalidParameter("message attribute", fmt.Sprintf("%q of type %q", name, a.DataType),
				"a name of 1 to 256 bytes and a value of type String, Number or Binary")
		}
		if !allowedText(name + a.StringValue) {
			return errContents
		}
	}
	return nil
}

func (a messageAttribute) kind() string {
	kind, _, _ := strings.Cut(a.DataType, ".")
	return kind
}

// bytes is the number of bytes that the attributes add to the size of a message.
func (m messageAttributes) bytes() int {
	n := 0
	for name, a := range m {
		n += len(name) + len(a.DataType) + len(a.StringValue) + len(a.BinaryValue)
	}
	return n
}

// md5 is the checksum of the protocol; empty without attributes.
func (m messageAttributes) md5() string {
	if len(m) == 0 {
		return ""
	}
	var text []byte
	for _, name := range slices.Sorted(maps.Keys(m)) {
		a := m[name]
		text = appendCounted(text, name)
		text = appendCounted(text, a.DataType)
		if a.kind() == "Binary" {
			text = appendCounted(append(text, 2), string(a.BinaryValue))
		} else {
			text = appendCounted(append(text, 1), a.StringValue)
		}
	}
	sum := md5.Sum(text)
	return hex.EncodeToString(sum[:])
}

func appendCounted(text []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(text, uint32(len(s))), s...)
}

// asked returns the attributes that a receive names: All and .* mean all of them, and a name
// that ends in .* means all with this prefix.
func (m messageAttributes) asked(names []string) messageAttributes {
	found := messageAttributes{}
	for name, a := range m {
		if slices.ContainsFunc(names, func(pattern string) bool { return namesAttribute(pattern, name) }) {
			found[name] = a
		}
	}
	return found
}

func namesAttribute(pattern, name string) bool {
	prefix, open := strings.CutSuffix(pattern, ".*")
	return pattern == "All" || pattern == name || open && strings.HasPrefix(name, prefix)
}
