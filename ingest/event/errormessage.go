package event

import (
	"regexp"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"statuscache/cache"
	"statuscache/ingest/internal/awscall"
)

const (
	maxErrorMessage = 1024 // characters
	maxCauseDepth   = 5    // of nested executions
	taskFailed      = "States.TaskFailed"
	returnedPayload = "Returned payload: "
)

// ErrorMessage returns the one-line errorMessage for a failure, in the form "Name: message". It
// contains no stack trace, no request ID and no input. A cause that cannot be parsed is used as
// plain text or left out.
func ErrorMessage(status cache.Status, name, cause string) string {
	found, message := explain(name, cause, maxCauseDepth)
	name, message = awscall.Clip(awscall.OneLine(found), maxErrorName), strings.TrimSpace(requestID.ReplaceAllString(awscall.OneLine(message), ""))
	switch {
	case name == "" && message == "":
		return unexplained(status)
	case name == "":
		return awscall.Clip(message, maxErrorMessage)
	case message == "":
		return name
	}
	return awscall.Clip(name+": "+message, maxErrorMessage)
}

// timeout is the error name of an execution that timed out. Step Functions sets it only for
// tasks.
const timeout = "States.Timeout"

// ErrorName returns the name of the error of a failure, on one line.
func ErrorName(status cache.Status, name string) string {
	name = awscall.Clip(awscall.OneLine(name), maxErrorName)
	if name == "" && status == cache.TimedOut {
		return timeout
	}
	return name
}

func unexplained(status cache.Status) string {
	switch status {
	case cache.TimedOut:
		return timeout + ": Execution timed out"
	case cache.Aborted:
		return "Execution was aborted"
	}
	return "Execution failed"
}

// causeDocument is the cause of a failed Lambda function or of a failed nested
// execution.
type causeDocument struct {
	ErrorMessage jsontext.Value `json:"errorMessage"`
	ErrorType    jsontext.Value `json:"errorType"`
	Message      jsontext.Value `json:"message"`
	Error        jsontext.Value `json:"Error"`
	Cause        jsontext.Value `json:"Cause"`
}

// explain returns the name and the message of a failure. If the name only says that a
// task failed, the name inside the cause is used.
func explain(name, cause string, depth int) (string, string) {
	if before, payload, _ := strings.Cut(cause, returnedPayload); isDocument.MatchString(payload) {
		if cause = before; firstObject(payload) != nil {
			cause = string(firstObject(payload))
		}
	}
	cause = strings.TrimSpace(cause)
	if value := jsontext.Value(cause); len(value) > 0 && value.Kind() == '"' && value.IsValid(lenient) && depth > 0 {
		return explain(name, text(value), depth-1) // a string inside a string
	}
	doc, ok := document(cause)
	if !ok {
		if isDocument.MatchString(cause) {
			return name, "" // truncated or of another kind; it may contain input
		}
		return name, cause
	}
	inner := text(doc.ErrorType)
	if inner == "" {
		inner = text(doc.Error)
	}
	if inner != "" && (name == "" || name == taskFailed) {
		name = inner
	}
	switch {
	case !isNull(doc.ErrorMessage):
		return name, text(doc.ErrorMessage)
	case !isNull(doc.Cause) && depth > 0:
		return explain(name, nested(doc.Cause), depth-1)
	case !isNull(doc.Message):
		return name, text(doc.Message)
	}
	return name, ""
}

// nested returns a cause that is a string or, contrary to the rule, an object.
func nested(v jsontext.Value) string {
	if v.Kind() == '"' {
		return text(v)
	}
	return string(v)
}

func document(s string) (causeDocument, bool) {
	var doc causeDocument
	if !strings.HasPrefix(s, "{") {
		return doc, false
	}
	return doc, json.Unmarshal([]byte(s), &doc, lenient) == nil
}

// firstObject returns the object at the beginning of s, or nil. Text may follow it.
func firstObject(s string) jsontext.Value {
	d := jsontext.NewDecoder(strings.NewReader(s), lenient)
	if d.PeekKind() != '{' {
		return nil
	}
	v, err := d.ReadValue()
	if err != nil {
		return nil
	}
	return v
}

// isDocument matches the beginning of JSON, even if it is quoted, but not the beginning of a
// sentence: some sentences begin with "[Errno 2]".
var isDocument = regexp.MustCompile(`^"?\s*(\{\s*("|\\"|\}|$)|\[\s*([{\["\]]|\\"|$))`)

// requestID matches the prefix of a Lambda timeout or exit. It means nothing to readers, and
// must not be public.
var requestID = regexp.MustCompile(`(?i)(\d{4}-\d\d-\d\dT[\d:.]+Z |RequestId: )[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:?( |$)`)
