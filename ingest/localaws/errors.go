package localaws

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
)

// Error is the answer of SQS instead of a result.
type Error struct {
	Code    string // as the JSON protocol calls it, such as QueueDoesNotExist
	Message string // for people
	Status  int    // of HTTP; 0 stands for 400
}

// Error returns the code and the message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Errors that a fault may answer with; see Faults.
var (
	// ErrUnavailable is answered while the service is down: status 503.
	ErrUnavailable = &Error{Code: "ServiceUnavailable", Message: "the service cannot answer now", Status: http.StatusServiceUnavailable}
	// ErrThrottled is the answer to a caller that sends too many requests: status 400.
	ErrThrottled = &Error{Code: "RequestThrottled", Message: "too many requests"}
	// ErrInternal is a failure of the service: status 500.
	ErrInternal = &Error{Code: "InternalFailure", Message: "the service failed", Status: http.StatusInternalServerError}
)

var (
	errNoQueue         = &Error{Code: "QueueDoesNotExist", Message: "there is no such queue"}
	errQueueExists     = &Error{Code: "QueueNameExists", Message: "a queue of this name has other attributes"}
	errReceiptHandle   = &Error{Code: "ReceiptHandleIsInvalid", Message: "not a receipt handle of this queue"}
	errEmptyBatch      = &Error{Code: "EmptyBatchRequest", Message: "the batch has no entries"}
	errBatchTooMany    = &Error{Code: "TooManyEntriesInBatchRequest", Message: "the batch has more than 10 entries"}
	errBatchTooLong    = &Error{Code: "BatchRequestTooLong", Message: "the messages of the batch are longer than 1048576 bytes together"}
	errBatchEntryID    = &Error{Code: "InvalidBatchEntryId", Message: "an entry's Id is not 1 to 80 letters, digits, hyphens and underscores"}
	errBatchSameID     = &Error{Code: "BatchEntryIdsNotDistinct", Message: "entries have the same Id"}
	errContents        = &Error{Code: "InvalidMessageContents", Message: "the message holds a character that is not allowed"}
	errRequestTooLarge = &Error{Code: "RequestEntityTooLarge", Message: "the request is too long", Status: http.StatusRequestEntityTooLarge}
	errNotPost         = &Error{Code: "UnsupportedOperation", Message: "only POST", Status: http.StatusMethodNotAllowed}
)

func invalidParameter(name string, value any, must string) *Error {
	return &Error{Code: "InvalidParameterValue", Message: fmt.Sprintf("%s cannot be %v: it must be %s", name, value, must)}
}

func missingParameter(name string) *Error {
	return &Error{Code: "MissingParameter", Message: name + " is missing"}
}

// asError converts any error to an answer, for example an error of a test.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: ErrInternal.Code, Message: err.Error(), Status: ErrInternal.Status}
}

func (e *Error) status() int { return cmp.Or(e.Status, http.StatusBadRequest) }

func (e *Error) fromSender() bool { return e.status() < http.StatusInternalServerError }

// queryCodes are the error names that differ in the older query protocol. The SDK shows them,
// so that programs for this protocol still work.
var queryCodes = map[string]string{
	"QueueDoesNotExist":            "AWS.SimpleQueueService.NonExistentQueue",
	"QueueNameExists":              "QueueAlreadyExists",
	"EmptyBatchRequest":            "AWS.SimpleQueueService.EmptyBatchRequest",
	"TooManyEntriesInBatchRequest": "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
	"BatchRequestTooLong":          "AWS.SimpleQueueService.BatchRequestTooLong",
	"InvalidBatchEntryId":          "AWS.SimpleQueueService.InvalidBatchEntryId",
	"BatchEntryIdsNotDistinct":     "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
	"UnsupportedOperation":         "AWS.SimpleQueueService.UnsupportedOperation",
}

// queryError is the value of the header x-amzn-query-error.
func (e *Error) queryError() string {
	fault := "Receiver"
	if e.fromSender() {
		fault = "Sender"
	}
	return cmp.Or(queryCodes[e.Code], e.Code) + ";" + fault
}
