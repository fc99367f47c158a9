package envelope

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Error is an error with the parts that the caller may see. Cause is only for the log.
type Error struct {
	Status     int
	Code       string
	Message    string
	RetryAfter time.Duration // 0: none
	Allow      []string      // of a 405: the methods that the path supports
	Challenge  []string      // of a 401: the header WWW-Authenticate
	Cause      error
}

// Error implements error. The text is for the log.
func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Message + ": " + e.Cause.Error()
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Invalid returns a ValidationError (400): message says what is wrong with the request.
func Invalid(format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "ValidationError", Message: fmt.Sprintf(format, args...)}
}

// Unauthorized returns an error 401. The caller gets only message; cause tells operators
// the reason.
func Unauthorized(message string, challenge []string, cause error) *Error {
	return &Error{Status: http.StatusUnauthorized, Code: "Unauthorized", Message: message, Challenge: challenge, Cause: cause}
}

// Forbidden returns an error 403.
func Forbidden(message string) *Error {
	return &Error{Status: http.StatusForbidden, Code: "Forbidden", Message: message}
}

// NotFound returns an error 404.
func NotFound(message string) *Error {
	return &Error{Status: http.StatusNotFound, Code: "NotFound", Message: message}
}

// MethodNotAllowed returns an error 405: the path supports only the methods of allow.
func MethodNotAllowed(allow []string) *Error {
	return &Error{
		Status: http.StatusMethodNotAllowed, Code: "MethodNotAllowed",
		Message: "this path supports only " + strings.Join(allow, ", "), Allow: allow,
	}
}

// UnsupportedMediaType returns an error 415.
func UnsupportedMediaType() *Error {
	return &Error{
		Status: http.StatusUnsupportedMediaType, Code: "UnsupportedMediaType",
		Message: "the body must be JSON: Content-Type: application/json",
	}
}

// PayloadTooLarge returns an error 413: the body is larger than limit, in bytes.
func PayloadTooLarge(limit int) *Error {
	return &Error{
		Status: http.StatusRequestEntityTooLarge, Code: "PayloadTooLarge",
		Message: fmt.Sprintf("the body is larger than %d bytes", limit),
	}
}

// HeadersTooLarge returns an error 431: the headers are larger than limit, in bytes.
func HeadersTooLarge(limit int) *Error {
	return &Error{
		Status: http.StatusRequestHeaderFieldsTooLarge, Code: "HeadersTooLarge",
		Message: fmt.Sprintf("the headers are larger than %d bytes", limit),
	}
}

// RateLimitExceeded returns an error 429 for a caller that sends too many requests.
func RateLimitExceeded(retryAfter time.Duration) *Error {
	return &Error{
		Status: http.StatusTooManyRequests, Code: "RateLimitExceeded",
		Message: "too many requests", RetryAfter: retryAfter,
	}
}

// DailyLimitExceeded returns an error 429 for an API key that has used all its requests of
// the day. reset is the time until the next day.
func DailyLimitExceeded(reset time.Duration) *Error {
	return &Error{
		Status: http.StatusTooManyRequests, Code: "DailyLimitExceeded",
		Message: "the daily limit of this API key is used up; it is reset at midnight UTC", RetryAfter: reset,
	}
}

// unavailableFor is how long a caller should wait before it tries again.
const unavailableFor = time.Second

// Unavailable returns an error 503: the caller should try again. cause is for the log.
func Unavailable(message string, cause error) *Error {
	return &Error{
		Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable",
		Message: message, RetryAfter: unavailableFor, Cause: cause,
	}
}

// Internal returns an error 500.
func Internal(cause error) *Error {
	return &Error{
		Status: http.StatusInternalServerError, Code: "InternalError",
		Message: "internal error; with the request ID, the operators can find the cause", Cause: cause,
	}
}

// Conflict returns an error 409: the state of the execution does not allow the request.
func Conflict(message string) *Error {
	return &Error{Status: http.StatusConflict, Code: "Conflict", Message: message}
}

// Gone returns an error 410: the resource existed, and will not come back.
func Gone(message string) *Error {
	return &Error{Status: http.StatusGone, Code: "Gone", Message: message}
}

// ErrorOf returns the error for the caller. An error that it does not know comes from
// Redis, which is slow or unreachable, so the caller should try again.
func ErrorOf(err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.Canceled):
		return Unavailable("the request was canceled", err)
	default:
		return Unavailable("Redis does not answer now, or does not confirm writes; try again", err)
	}
}

// WriteHeaders sets the headers that belong to the error.
func (e *Error) WriteHeaders(h http.Header) {
	h["Cache-Control"] = NoStore // the next answer may differ
	if e.RetryAfter > 0 {
		h["Retry-After"] = []string{strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds())))}
	}
	if e.Status == http.StatusUnauthorized {
		h["Www-Authenticate"] = e.Challenge
	}
	if e.Allow != nil {
		h["Allow"] = []string{strings.Join(e.Allow, ", ")}
	}
}
