package ingest

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
	maxCauseDepth   = 5    // executions that started one another
	taskFailed      = "States.TaskFailed"
	returnedPayload = "Returned payload: "
)

// ErrorMessage returns the one line that people are told about a failure, in the
// form "Name: message". It holds no stack trace, no request id
// and no input. A cause that it cannot read is taken as plain text or left out.
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

func unexplained(status cache.Status) string {
	switch status {
	case cache.TimedOut:
		return "States.Timeout: Execution timed out"
	case cache.Aborted:
		return "Execution was aborted"
	}
	return "Execution failed"
}

// causeDocument is what the cause of a failed Lambda function or of a failed
// nested execution holds.
type causeDocument struct {
	ErrorMessage jsontext.Value `json:"errorMessage"`
	ErrorType    jsontext.Value `json:"errorType"`
	Message      jsontext.Value `json:"message"`
	Error        jsontext.Value `json:"Error"`
	Cause        jsontext.Value `json:"Cause"`
}

// explain returns the name and the message of a failure. Where the name says no
// more than that a task failed, the one inside is better.
func explain(name, cause string, depth int) (string, string) {
	if before, payload, _ := strings.Cut(cause, returnedPayload); isDocument.MatchString(payload) {
		if cause = before; firstObject(payload) != nil {
			cause = string(firstObject(payload))
		}
	}
	cause = strings.TrimSpace(cause)
	if value := jsontext.Value(cause); len(value) > 0 && value.Kind() == '"' && value.IsValid(lenient) && depth > 0 {
		return explain(name, text(value), depth-1) // a text in a text
	}
	doc, ok := document(cause)
	if !ok {
		if isDocument.MatchString(cause) {
			return name, "" // cut off, or of another kind: not for people, and it may hold input
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

// nested returns a cause that is a text or, against the rule, an object.
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

// firstObject returns the object that s begins with, whatever follows, or nil.
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

// isDocument is how JSON begins, as a text too, and not how people write: some
// begin with "[Errno 2]".
var isDocument = regexp.MustCompile(`^"?\s*(\{\s*("|\\"|\}|$)|\[\s*([{\["\]]|\\"|$))`)

// requestID is how Lambda begins what it says about a time-out or an exit. It
// tells people nothing and is not theirs to know.
var requestID = regexp.MustCompile(`(?i)(\d{4}-\d\d-\d\dT[\d:.]+Z |RequestId: )[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:?( |$)`)
