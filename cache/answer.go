package cache

import (
	"bytes"
	"crypto/sha256"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"statuscache/cache/internal/record"
)

const (
	bodyHead = `{"success":true,"data":{`
	bodyTail = `}}`

	fixedLength = 150 // bytes of an answer apart from the ARN and the result, at most
)

// appendBody appends the answer of GET /v1/status about e, exactly as the contract
// (openapi.yaml) requires. The output is inserted byte for byte, because every JSON encoder
// would rewrite it.
func appendBody(b []byte, e *Execution) []byte {
	return append(appendResult(appendState(b, e), e), bodyTail...)
}

// appendState appends the part of an answer before the result.
func appendState(b []byte, e *Execution) []byte {
	status := publicStatus(e)
	b = append(b, bodyHead+`"status":"`...)
	b = append(b, status...)
	b = append(b, `","executionArn":"`...)
	b = append(b, e.ARN...) // no character of an ARN is escaped in JSON
	b = append(b, `","startDate":`...)
	b = appendDate(b, e.StartDate)
	if status != Running {
		b = append(b, `,"stopDate":`...)
		b = appendDate(b, e.StopDate)
	}
	return b
}

// resultKey returns the text of an answer between the state and the result.
func resultKey(e *Execution) string {
	switch publicStatus(e) {
	case Succeeded:
		return outputKey
	case Failed:
		return errorMessageKey
	}
	return ""
}

// appendResult appends the output or the error message.
func appendResult(b []byte, e *Execution) []byte {
	b = append(b, resultKey(e)...)
	switch publicStatus(e) {
	case Succeeded:
		return appendOutput(b, e)
	case Failed:
		return appendString(b, e.ErrorMessage)
	}
	return b
}

// appendOutput appends the output of a success, or why it is missing.
func appendOutput(b []byte, e *Execution) []byte {
	if e.hasOutput() {
		return append(b, e.Output...)
	}
	switch e.Completeness {
	case OutputExpired:
		return append(b, `null,"outputExpired":true`...)
	case OutputGone:
		return append(b, `null,"outputExpired":true,"outputGone":true`...)
	}
	return append(b, `null,"outputTruncated":true`...)
}

// publicStatus returns the status of e in the public API.
func publicStatus(e *Execution) Status {
	switch {
	case !e.Terminal() || e.Status == Succeeded && e.Completeness == OutputAwaited:
		return Running
	case e.Status == Succeeded:
		return Succeeded
	default:
		return Failed
	}
}

// appendString appends s as a JSON string.
func appendString(b []byte, s string) []byte {
	b, err := jsontext.AppendQuote(b, s)
	if err != nil { // only for invalid UTF-8, which it has replaced
		return b
	}
	return b
}

// appendDate appends t in the form of the public API: UTC, whole seconds.
func appendDate(b []byte, t time.Time) []byte {
	b = append(b, '"')
	b = t.UTC().AppendFormat(b, time.RFC3339) // which package time formats faster than other layouts
	return append(b, '"')
}

// bodyHash decides between two observations of the same version, and distinguishes two
// answers in an ETag. It covers everything that an answer can show.
func bodyHash(body []byte, e *Execution) string {
	h := sha256.New()
	h.Write(body)
	h.Write([]byte{0})
	h.Write([]byte(e.Status))
	h.Write([]byte{0})
	h.Write([]byte(e.Error))
	return record.TagOfSum([sha256.Size]byte(h.Sum(nil)))
}

// Full returns the answer of ?view=full: the documented keys and then all other fields.
// It is built on each call. auditedAt is the time up to which all changes of the state
// machine are known, zero for none. It changes every minute without a change of the
// execution, so the entity tag does not depend on it, and it wakes no client that waits
// for a change.
func (r *Record) Full(auditedAt time.Time) *Representation {
	b := make([]byte, 0, len(r.Plain.Body)+512)
	b = append(b, r.Plain.Body[:len(r.Plain.Body)-len(bodyTail)]...)
	b = append(b, `,"executionStatus":`...)
	b = appendString(b, string(r.Status))
	b = append(b, `,"name":`...)
	b = appendString(b, r.ARN.Name())
	b = append(b, `,"stateMachineArn":`...)
	b = appendString(b, r.ARN.StateMachine())
	b = append(b, `,"attempt":`...)
	b = strconv.AppendInt(b, int64(r.Version.RedriveCount()+1), 10)
	b = append(b, `,"error":`...)
	if r.Error == "" {
		b = append(b, "null"...)
	} else {
		b = appendString(b, r.Error)
	}
	b = append(b, `,"observedAt":"`...)
	b = r.ObservedAt.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	b = append(b, `","source":"`...)
	b = append(b, r.Source...)
	b = append(b, `","version":"`...)
	b = append(b, r.Version...)
	labels := appendLabels(nil, r.labels)
	sum := sha256.Sum256(append(b, labels...))
	b = append(b, '"')
	if !auditedAt.IsZero() {
		b = appendDate(append(b, `,"auditedAt":`...), auditedAt)
	}
	b = append(append(b, labels...), bodyTail...)
	return newRepresentation(b, r.Version, record.TagOfSum(sum)+"-full")
}

// StatusOnly returns the answer of ?view=status: the documented keys without output and
// errorMessage. Its ETag differs from those of the other views. It is made once.
func (r *Record) StatusOnly() *Representation {
	if made := r.bare.Load(); made != nil {
		return made
	}
	body := r.Plain.Body
	if state, _ := r.cutResult(); len(state) < len(body) {
		body = append(append(make([]byte, 0, len(state)+len(bodyTail)), state...), bodyTail...)
	}
	sum := sha256.Sum256(body)
	made := newRepresentation(body, r.Version, record.TagOfSum(sum)+"-status")
	r.bare.Store(made)
	return made
}

// Keys that separate the result of an execution, in an answer, from the part before it.
// That part cannot contain these bytes, because ARNs and dates have no quotes.
const (
	outputKey       = `,"output":`
	errorMessageKey = `,"errorMessage":`
)

// cutResult splits Plain before its output or errorMessage. Without one, state is all of
// Plain.
func (r *Record) cutResult() (state, result []byte) {
	body, key := r.Plain.Body, ""
	switch r.PublicStatus() {
	case Succeeded:
		key = outputKey
	case Failed:
		key = errorMessageKey
	case Running:
		return body, nil
	}
	state, result, _ = bytes.Cut(body, []byte(key))
	return state, result
}

// Data returns the data object of an uncompressed answer: the body without its envelope.
func (a *Representation) Data() []byte { return a.Body[len(bodyHead)-1 : len(a.Body)-1] }

// With returns the answer with further members, which begin with a comma. Its entity tag is
// the same, because they are not a part of the state.
func (a *Representation) With(members []byte) *Representation {
	b := make([]byte, 0, len(a.Body)+len(members))
	b = append(b, a.Body[:len(a.Body)-len(bodyTail)]...)
	b = append(append(b, members...), bodyTail...)
	return &Representation{Body: b, ETag: a.ETag, Length: []string{strconv.Itoa(len(b))}}
}

// newRepresentation allocates once for both header values, because a miss makes them.
func newRepresentation(body []byte, v Version, tag string) *Representation {
	made := new(struct {
		Representation
		etag, length [1]string
	})
	b := record.AppendEntityTag(make([]byte, 0, 128), v, tag)
	n := len(b)
	text := string(strconv.AppendInt(b, int64(len(body)), 10))
	made.etag[0], made.length[0] = text[:n], text[n:]
	made.Representation = Representation{Body: body, ETag: made.etag[:], Length: made.length[:]}
	return &made.Representation
}
