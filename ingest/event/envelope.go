package event

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"statuscache/cache"
)

// envelope has the fields of every wrapping in which an event may arrive:
//
//	EventBridge   source, detail-type and detail
//	SNS           Type and Message, a text, without raw message delivery
//	SQS           body: a record of EventBridge Pipes, which parses the body if a transformer
//	              uses it; Body: output of the AWS CLI that was sent again
//	Kinesis       data, in Base64: a record of a stream in Pipes; CloudEvents have data too
//	Kafka         value, in Base64: a record of a topic in Pipes
//	Lambda        Records, an array of such records, with Sns or kinesis around them
//	none          executionArn and status: the target of a rule has InputPath $.detail
//
// An array has several of them. Signatures are not checked, because the policy of the queue
// decides who may send. Optional fields stay raw, so that an unusual value does not make a good
// event undecodable.
type envelope struct {
	id, detailType, source, time, replayName, detail jsontext.Value

	kind, message                   jsontext.Value // Type and Message
	payload, records                jsontext.Value // the content of a record, and several records
	executionARN, mapRunARN, status jsontext.Value
}

// set sets a field. For a duplicate name the last value counts.
func (e *envelope) set(name []byte, v jsontext.Value) {
	switch string(name) {
	case "id":
		e.id = v
	case "detail-type":
		e.detailType = v
	case "source":
		e.source = v
	case "time":
		e.time = v
	case "replay-name":
		e.replayName = v
	case "detail":
		e.detail = v
	case "Type":
		e.kind = v
	case "Message":
		e.message = v
	case "body", "Body", "data", "value", "Sns", "kinesis":
		e.payload = v
	case "Records", "Messages":
		e.records = v
	case "executionArn":
		e.executionARN = v
	case "mapRunArn":
		e.mapRunARN = v
	case "status":
		e.status = v
	}
}

// Decode decodes a message with one event. It accepts many forms of messages, but checks what
// it returns: the ARN is well formed, dates and redrive count fit into a version, texts are
// bounded. The start date may be missing. Errors wrap ErrNotOurs or ErrUndecodable and contain
// no text of the message.
func (d *Decoder) Decode(body []byte) (cache.Execution, error) {
	events, err := d.DecodeAll(body)
	switch {
	case err != nil:
		return cache.Execution{}, err
	case len(events) > 1:
		return cache.Execution{}, undecodable("it has more than one event")
	}
	return events[0], nil
}

// DecodeAll decodes a message that may have several events. If some are undecodable, it returns
// the others together with the error. Without an error it returns at least one.
func (d *Decoder) DecodeAll(body []byte) ([]cache.Execution, error) {
	if len(body) > MaxBody {
		return nil, undecodable("it is larger than 1 MiB")
	}
	u := unwrapper{decoder: d}
	u.text(body, 0)
	switch {
	case u.failed != nil:
		return u.events, u.failed
	case len(u.events) == 0:
		return nil, ErrNotOurs
	}
	return u.events, nil
}

// unwrapper collects the events in the envelopes of a message.
type unwrapper struct {
	decoder *Decoder
	events  []cache.Execution
	failed  error // the first error; wraps ErrUndecodable
}

func (u *unwrapper) fail(why string) {
	if u.failed == nil {
		u.failed = undecodable(why)
	}
}

// text unwraps a text: JSON, possibly with a byte order mark, or Base64.
func (u *unwrapper) text(t []byte, depth int) {
	t = bytes.TrimSpace(bytes.TrimPrefix(t, []byte("\uFEFF")))
	if depth > maxDepth {
		u.fail("too many nested envelopes")
		return
	}
	if len(t) > 0 && t[0] != '{' && t[0] != '[' && t[0] != '"' {
		if plain, err := base64.StdEncoding.DecodeString(string(t)); err == nil && len(plain) > 0 {
			u.text(plain, depth+1)
			return
		}
	}
	u.value(t, depth)
}

// value unwraps a JSON value.
func (u *unwrapper) value(v jsontext.Value, depth int) {
	const not = "it is not a JSON object with the envelope of EventBridge"
	if depth > maxDepth {
		u.fail("too many nested envelopes")
		return
	}
	var all []jsontext.Value
	var env envelope
	switch {
	case len(v) == 0:
		u.fail(not)
	case v[0] == '"':
		if !isValid(v) {
			u.fail(not)
			return
		}
		u.text(unquoted(v), depth+1)
	case v[0] == '[':
		if err := json.Unmarshal(v, &all, lenient); err != nil || len(all) == 0 {
			u.fail(not)
			return
		}
		u.each(all, depth)
	default:
		if string(v) != "null" && !eachMember(v, env.set) || !env.regular() {
			u.fail(not)
			return
		}
		u.object(&env, v, depth)
	}
}

func (u *unwrapper) each(all []jsontext.Value, depth int) {
	if len(all) > maxEvents {
		u.fail(fmt.Sprintf("it has more than %d events", maxEvents))
		return
	}
	for _, v := range all {
		u.value(v, depth+1)
	}
}

// regular reports whether the fields that identify an envelope have the right types.
func (e *envelope) regular() bool {
	return (isNull(e.source) || isText(e.source)) && (isNull(e.detailType) || isText(e.detailType)) && (isNull(e.records) || e.records.Kind() == '[')
}

func (u *unwrapper) object(env *envelope, v jsontext.Value, depth int) {
	switch {
	case !isNull(env.source) && !isNull(env.detailType) && !isNull(env.detail):
		if equals(env.source, Source) && equals(env.detailType, DetailType) {
			u.event(env, env.detail)
		} // otherwise the event is about something else
	case equals(env.kind, "SubscriptionConfirmation"):
		u.fail("SNS asks to confirm the subscription of this queue; confirm it with aws sns confirm-subscription and the token in the message")
	case equals(env.kind, "UnsubscribeConfirmation"): // not ours
	case isText(env.message):
		u.text(unquoted(env.message), depth+1)
	case isText(env.payload) || isObject(env.payload):
		u.value(env.payload, depth+1)
	case hasElements(env.records):
		var all []jsontext.Value
		if err := json.Unmarshal(env.records, &all, lenient); err != nil {
			u.fail("its records cannot be read")
			return
		}
		u.each(all, depth)
	case isNull(env.source) && isText(env.executionARN) && isText(env.status):
		if isNull(env.mapRunARN) { // otherwise it is the status of a Map Run
			u.event(env, v)
		}
	default:
		u.fail("source, detail-type or detail is missing")
	}
}

// hasElements reports whether a value is an array that is not empty.
func hasElements(array jsontext.Value) bool {
	return len(array) > 0 && array[0] == '[' && len(bytes.TrimSpace(array[1:len(array)-1])) > 0
}

func (u *unwrapper) event(env *envelope, change jsontext.Value) {
	if len(u.events) == maxEvents {
		u.fail(fmt.Sprintf("it has more than %d events", maxEvents))
		return
	}
	e, err := u.decoder.event(env, change)
	if err != nil {
		u.failed = cmp.Or(u.failed, err)
		return
	}
	u.events = append(u.events, e)
}

// equals reports whether a value is a given text.
func equals(v jsontext.Value, want string) bool {
	if len(v) != len(want)+2 || v[0] != '"' || string(v[1:len(v)-1]) != want {
		return text(v) == want // the text may be escaped
	}
	return true
}

func isText(v jsontext.Value) bool { return len(v) > 0 && v[0] == '"' }

func isObject(v jsontext.Value) bool { return len(v) > 0 && v[0] == '{' }

// memberReader reads the members of an object.
type memberReader struct {
	buffer  bytes.Buffer
	decoder jsontext.Decoder
}

var memberReaders = sync.Pool{New: func() any { return new(memberReader) }}

// eachMember calls visit for each member of a JSON object in order. The name is unquoted. The
// value is a part of the object, not a copy, because an event of 256 kB would be copied once
// for each of its envelopes. eachMember reports whether the text is exactly one object; if not,
// visit may have been called already. The members of an unusual object may be visited again
// from the first one.
func eachMember(object jsontext.Value, visit func(name []byte, value jsontext.Value)) bool {
	return scanMembers(object, visit) || readMembers(object, visit)
}

// readMembers is eachMember for all objects.
func readMembers(object jsontext.Value, visit func(name []byte, value jsontext.Value)) bool {
	r := memberReaders.Get().(*memberReader)
	r.buffer = *bytes.NewBuffer(object)
	r.decoder.Reset(&r.buffer, lenient)
	defer func() {
		r.buffer = bytes.Buffer{}
		r.decoder.Reset(&r.buffer) // otherwise the pool would keep the message
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
	return errors.Is(err, io.EOF)
}

// nameOf unquotes a name. Most names have no escapes.
func nameOf(quoted jsontext.Value) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	return unquoted(quoted)
}
