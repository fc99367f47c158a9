package event

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"statuscache/cache"
	"statuscache/ingest/internal/awscall"
)

// Errors of Decode.
var (
	// ErrNotOurs says that an event is well formed, but about something else.
	ErrNotOurs = errors.New("not a status change of a Step Functions execution")
	// ErrUndecodable says that a message cannot be decoded, now or later.
	ErrUndecodable = errors.New("message cannot be decoded")
)

// The source and the detail-type of the events.
const (
	Source     = "aws.states"
	DetailType = "Step Functions Execution Status Change"
)

// MaxBody is the greatest length of a message in bytes, which is the maximum of SQS.
const MaxBody = 1 << 20

const (
	maxDepth     = 6    // of nested envelopes
	maxEvents    = 1000 // in one message
	maxErrorName = 256  // characters
	maxStatus    = 64   // bytes
)

// Decoder decodes messages. The zero value reads no owners and no labels.
type Decoder struct {
	Owner  OwnerPath
	Labels LabelPaths
}

// detail has the needed fields of the part of an event that Step Functions wrote.
type detail struct {
	executionARN, status, startDate, stopDate, redriveCount jsontext.Value
	input, inputDetails, output, outputDetails              jsontext.Value
	error, cause                                            jsontext.Value
}

// set sets a field. For a duplicate name the last value counts.
func (d *detail) set(name []byte, v jsontext.Value) {
	switch string(name) {
	case "executionArn":
		d.executionARN = v
	case "status":
		d.status = v
	case "startDate":
		d.startDate = v
	case "stopDate":
		d.stopDate = v
	case "redriveCount":
		d.redriveCount = v
	case "input":
		d.input = v
	case "inputDetails":
		d.inputDetails = v
	case "output":
		d.output = v
	case "outputDetails":
		d.outputDetails = v
	case "error":
		d.error = v
	case "cause":
		d.cause = v
	}
}

// lenient accepts what AWS may send: duplicate names, and text that is not UTF-8.
var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// event creates an observation from an event of EventBridge, or from its detail alone.
func (d *Decoder) event(env *envelope, change jsontext.Value) (cache.Execution, error) {
	var det detail
	if isText(change) { // an input transformer may have quoted it
		change = unquoted(change)
	}
	if !eachMember(change, det.set) {
		return cache.Execution{}, undecodable("detail is not an object")
	}
	e := cache.Execution{Completeness: cache.Complete, Source: cache.FromEvent, EventID: text(env.id)}
	e.EmittedAt, _ = date(env.time)
	if !isNull(env.replayName) {
		e.Source = cache.FromReplay
	}
	return e, d.execution(&e, &det)
}

func undecodable(why string) error { return fmt.Errorf("%w: %s", ErrUndecodable, why) }

// execution fills an observation from a detail.
func (d *Decoder) execution(e *cache.Execution, det *detail) error {
	arn, err := cache.ParseARN(text(det.executionARN))
	if err != nil {
		return undecodable("executionArn: " + err.Error())
	}
	status := awscall.OneLine(text(det.status)) // the status is shown to people
	if status == "" || len(status) > maxStatus {
		return undecodable("status is missing or not a word")
	}
	start, ok := date(det.startDate)
	if !ok && !isEmpty(det.startDate) {
		return undecodable("startDate is not a date")
	}
	redrives, ok := count(det.redriveCount)
	if !ok {
		return undecodable("redriveCount is not a whole number")
	}
	e.ARN, e.Status, e.StartDate, e.RedriveCount = arn, cache.Status(status), start, redrives
	e.StopDate, _ = date(det.stopDate)
	if e.Terminal() && e.StopDate.IsZero() { // the event does not say when it stopped
		if e.StopDate = e.EmittedAt; e.StopDate.IsZero() {
			e.StopDate = start
		}
	}
	if e.Terminal() && e.StopDate.IsZero() {
		return undecodable("startDate, stopDate and time are missing")
	}
	switch {
	case e.Status == cache.Succeeded:
		e.Output, e.Completeness = output(det.output, det.outputDetails)
	case e.Terminal():
		e.Error = ErrorName(e.Status, text(det.error))
		e.ErrorMessage = ErrorMessage(e.Status, text(det.error), text(det.cause))
	}
	d.ReadInput(e, det.input)
	leftOut := isNull(det.input) || !included(det.inputDetails)
	e.OwnerLeftOut, e.LabelsLeftOut = leftOut && len(d.Owner) > 0, leftOut && len(d.Labels) > 0
	return nil
}

// output returns the output, byte for byte as it was in its string. An output that was left out
// is awaited, because Step Functions has it. An output that is not JSON is given up, because no
// answer can contain it.
func output(value, details jsontext.Value) ([]byte, cache.Completeness) {
	if isNull(value) || !included(details) {
		return nil, cache.OutputAwaited
	}
	out := unquoted(value)
	if value.Kind() != '"' {
		out = bytes.Clone(value) // a copy, so that the message does not stay in memory
	}
	if !isValid(out) {
		return nil, cache.OutputGivenUp
	}
	return out, cache.Complete
}

// ValidOutput reports whether an answer can contain an output.
func ValidOutput(output string) bool { return isValid([]byte(output)) }

// isValid reports whether v is one JSON value.
func isValid(v jsontext.Value) bool { return scanValid(v) || v.IsValid(lenient) }

// included reports whether the event includes the payload that details describe.
func included(details jsontext.Value) bool {
	said, odd := true, isNull(details)
	complete := !odd && eachMember(details, func(name []byte, v jsontext.Value) {
		if string(name) == "included" {
			said = v.Kind() != 'f'
			odd = odd || v.Kind() != 'f' && v.Kind() != 't' && v.Kind() != 'n'
		}
	})
	return said || odd || !complete
}

func isNull(v jsontext.Value) bool { return len(v) == 0 || v.Kind() == 'n' }

// isEmpty reports whether a value means that there is no value: null, an empty text or zero, as
// emulators of Step Functions and input transformers write it.
func isEmpty(v jsontext.Value) bool {
	s := bytes.TrimSpace(plain(v))
	return isNull(v) || len(s) == 0 || string(s) == "null" || len(bytes.Trim(s, "0.")) == 0
}

// plain returns a text without its quotes, and any other value as it is written: input
// transformers quote numbers.
func plain(v jsontext.Value) []byte {
	if isText(v) {
		return unquoted(v)
	}
	return v
}

// text returns the string in v, or "" if v is not a string.
func text(v jsontext.Value) string {
	if plain, ok := plainText(v); ok {
		return string(plain)
	}
	return string(unquoted(v))
}

// unquoted is like text, but returns bytes.
func unquoted(v jsontext.Value) []byte {
	if len(v) == 0 || v.Kind() != '"' {
		return nil
	}
	if b, ok := unquote(v); ok {
		return b
	}
	b, err := jsontext.AppendUnquote(make([]byte, 0, len(v)), v)
	if err != nil && len(b) == 0 {
		return nil
	}
	return b
}

// secondsBelow separates seconds from milliseconds: 1e11 s is the year 5138, 1e11 ms is
// 1973, and Step Functions began in 2016.
const secondsBelow = 1e11

// date reads a number of milliseconds, a number of seconds, or a text in the form of RFC
// 3339. It reports false for anything else, and for dates that a version cannot hold.
func date(v jsontext.Value) (time.Time, bool) {
	s := string(bytes.TrimSpace(plain(v)))
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		if n < secondsBelow {
			n *= 1000
		}
		return InRange(n)
	}
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04:05.999999999Z0700"} {
		if t, err := time.Parse(form, s); err == nil {
			return InRange(float64(t.UnixMilli()))
		}
	}
	return time.Time{}, false
}

// InRange returns the time that is a number of ms after 1970; false if a version cannot hold
// it.
func InRange(ms float64) (time.Time, bool) {
	if !(ms >= 1 && ms <= cache.MaxTime) {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(math.Round(ms))).UTC(), true
}

// count reads a redrive count. A missing one is 0.
func count(v jsontext.Value) (int, bool) {
	if isEmpty(v) {
		return 0, true
	}
	n, err := strconv.ParseFloat(string(bytes.TrimSpace(plain(v))), 64)
	if err != nil || n != math.Trunc(n) || n < 0 || n > cache.MaxRedriveCount {
		return 0, false
	}
	return int(n), true
}
