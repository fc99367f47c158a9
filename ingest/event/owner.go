package event

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"statuscache/cache"
)

// OwnerPath is the path of the owner in the input of an execution. The zero value means that
// the input has no owner.
type OwnerPath []string

const maxOwnerPath = 16 // names

// ParseOwnerPath parses a path of names, such as caller.sub or $.caller.sub, which are the
// same. An empty text returns the zero value.
func ParseOwnerPath(s string) (OwnerPath, error) {
	s = strings.TrimPrefix(s, "$.")
	if s == "" {
		return nil, nil
	}
	names := strings.Split(s, ".")
	if len(names) > maxOwnerPath {
		return nil, fmt.Errorf("more than %d names", maxOwnerPath)
	}
	for _, name := range names {
		if name == "" || !utf8.ValidString(name) || strings.ContainsAny(name, "[]*$\"'") || strings.ContainsFunc(name, unicode.IsSpace) {
			return nil, fmt.Errorf("%q is not a path of names separated by dots, such as tenantId or caller.sub", s)
		}
	}
	return names, nil
}

// ReadInput sets the owner, the input type and the labels that are in an input and can be
// stored.
func (d *Decoder) ReadInput(e *cache.Execution, input jsontext.Value) {
	if len(d.Owner) == 0 && len(d.Labels) == 0 && !bytes.Contains(input, []byte("inputType")) && !bytes.Contains(input, []byte(`\u`)) {
		return // nothing is needed from the input, so it is not unquoted
	}
	text := input
	if len(input) > 0 && input.Kind() == '"' {
		var ok bool
		if text, ok = unquote(input); !ok {
			var err error
			if text, err = jsontext.AppendUnquote(make([]byte, 0, len(input)), input); err != nil {
				return
			}
		}
	}
	if len(d.Owner) > 0 {
		e.Owner = ownerOf(find(text, d.Owner))
	}
	if bytes.Contains(text, []byte(`"inputType"`)) {
		e.InputType = inputTypeOf(find(text, OwnerPath{"inputType"}))
	}
	e.Labels = d.Labels.of(text)
}

// find returns the value at a path, or nil. For a duplicate name the last value counts,
// as in the JSON decoders of state machines. The value is a part of the object.
func find(object jsontext.Value, path OwnerPath) jsontext.Value {
	var found jsontext.Value
	odd := false
	complete := scanMembers(object, func(name []byte, value jsontext.Value) {
		odd = odd || !isASCII(name)
		if string(name) == path[0] {
			found = value
		}
	})
	switch {
	case !complete || odd:
		return read(object, path)
	case len(path) > 1 && found != nil:
		return find(found, path[1:])
	}
	return found
}

// read is find for all objects. It reads only as far as necessary.
func read(object jsontext.Value, path OwnerPath) jsontext.Value {
	d := jsontext.NewDecoder(bytes.NewBuffer(object), lenient) // the decoder reads a Buffer in place
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return nil
	}
	var found jsontext.Value
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return nil
		}
		if name.String() != path[0] {
			if d.SkipValue() != nil {
				return nil
			}
			continue
		}
		v, err := d.ReadValue()
		if err != nil {
			return nil
		}
		if found = v.Clone(); len(path) > 1 {
			found = read(found, path[1:])
		}
	}
	if t, err := d.ReadToken(); err != nil || t.Kind() != '}' {
		return nil // truncated, so it cannot be trusted
	}
	return found
}

// ownerOf accepts a string, or a whole number as it is written.
func ownerOf(v jsontext.Value) string {
	if len(v) == 0 {
		return ""
	}
	owner := text(v)
	if v.Kind() == '0' && !bytes.ContainsAny(v, ".eE") {
		owner = string(v)
	}
	if len(owner) > cache.MaxOwnerLength || !utf8.ValidString(owner) || strings.ContainsFunc(owner, unicode.IsControl) {
		return ""
	}
	return owner
}

func inputTypeOf(v jsontext.Value) string {
	t := text(v)
	if len(t) > cache.MaxInputTypeLength || strings.ContainsFunc(t, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ""
	}
	return t
}
