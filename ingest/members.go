package ingest

import (
	"bytes"
	"io"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// memberReader reads the members of an object.
type memberReader struct {
	buffer  bytes.Buffer
	decoder jsontext.Decoder
}

var memberReaders = sync.Pool{New: func() any { return new(memberReader) }}

// eachMember calls visit for each member of a JSON object, in its order. The name is
// unquoted. The value is a part of the object, not a copy: an event of 256 kB is copied once
// less for each envelope that it is in. It reports whether there is one whole object and
// nothing else; where not, visit may have been called.
func eachMember(object jsontext.Value, visit func(name []byte, value jsontext.Value)) bool {
	r := memberReaders.Get().(*memberReader)
	r.buffer = *bytes.NewBuffer(object)
	r.decoder.Reset(&r.buffer, lenient)
	defer func() {
		r.buffer = bytes.Buffer{}
		r.decoder.Reset(&r.buffer) // or the pool would keep the message
		memberReaders.Put(r)
	}()
	d := &r.decoder
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return false
	}
	next := func() (jsontext.Value, error) {
		v, err := d.ReadValue()
		end := int(d.InputOffset())
		return object[end-len(v) : end : end], err
	}
	for d.PeekKind() == '"' {
		name, err := next()
		if err != nil {
			return false
		}
		value, err := next()
		if err != nil {
			return false
		}
		visit(nameOf(name), value)
	}
	if t, err := d.ReadToken(); err != nil || t.Kind() != '}' {
		return false
	}
	_, err := d.ReadToken()
	return err == io.EOF
}

// nameOf unquotes a name. Most have nothing to unescape.
func nameOf(quoted jsontext.Value) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	return unquoted(quoted)
}
