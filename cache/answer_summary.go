package cache

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// maxMetadata is the largest part of an output that a summary shows, in bytes.
const maxMetadata = 4 << 10

// Data returns the data object of the answer: Plain without its envelope.
func (r *Record) Data() []byte {
	return r.Plain.Data()
}

// PublicStatus returns the status of the execution in the public API: Running, Succeeded
// or Failed.
func (r *Record) PublicStatus() Status {
	switch {
	case !r.Terminal:
		return Running
	case r.Status == Succeeded:
		return Succeeded
	}
	return Failed
}

// Summary returns the row of a list: one line of JSON, made once. It has, in this order, the
// data object without the output, the name, a field that helps people to distinguish
// executions, and the fields of the full view. The third is the object metadata of the output
// if it has at most 4 KiB, otherwise the type of the input.
func (r *Record) Summary() []byte {
	if made := r.summary.Load(); made != nil {
		return *made
	}
	data := r.Data()
	head, output, _ := bytes.Cut(data, []byte(outputKey))
	if r.PublicStatus() != Succeeded {
		head, output = data, nil
	}
	b := append(make([]byte, 0, len(head)+256), head...)
	b = append(bytes.TrimSuffix(b, []byte("}")), `,"name":`...)
	b = appendString(b, r.ARN.Name())
	if m := metadataOf(output); m != nil {
		b = append(append(b, `,"metadata":`...), m...)
	} else if r.InputType != "" {
		b = appendString(append(b, `,"inputType":`...), r.InputType)
	}
	if r.Version == Unobserved { // registered, without an event yet
		b = append(b, `,"observed":false`...)
	}
	b = append(r.appendDetails(b), '}')
	r.summary.Store(&b)
	return b
}

// appendDetails appends the fields of the full view in a summary.
func (r *Record) appendDetails(b []byte) []byte {
	b = appendString(append(b, `,"executionStatus":`...), string(r.Status))
	b = appendString(append(b, `,"stateMachineArn":`...), r.ARN.StateMachine())
	b = strconv.AppendInt(append(b, `,"attempt":`...), int64(r.Version.RedriveCount()+1), 10)
	if r.Error != "" {
		b = appendString(append(b, `,"error":`...), r.Error)
	}
	return appendLabels(b, r.labels)
}

// metadataOf returns the object metadata of an output, on one line, or nil. If there are
// several members of that name, the last one counts, as in most JSON parsers.
func metadataOf(output []byte) (metadata []byte) {
	d := jsontext.NewDecoder(bytes.NewReader(output), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if d.PeekKind() != '{' {
		return nil
	}
	if _, err := d.ReadToken(); err != nil {
		return nil
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return nil
		}
		wanted := name.String() == "metadata"
		value, err := d.ReadValue()
		if err != nil {
			return nil
		}
		if wanted {
			metadata = nil
			if value.Kind() == '{' && len(value) <= maxMetadata {
				metadata = oneLine(value)
			}
		}
	}
	return metadata
}

// oneLine returns a copy of JSON without raw line breaks, which can only be white space.
func oneLine(b []byte) []byte {
	b = bytes.Clone(b)
	for i, c := range b {
		if c == '\n' || c == '\r' {
			b[i] = ' '
		}
	}
	return b
}
