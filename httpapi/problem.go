package httpapi

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"statuscache/cache"
)

// problem is an error with what the caller is told about it. cause is for the
// log only.
type problem struct {
	status     int
	code       string
	message    string
	retryAfter time.Duration // 0: none
	allow      []string      // of a 405
	refused    *refusal      // of a 401
	cause      error
}

func (p *problem) Error() string {
	if p.cause != nil {
		return p.message + ": " + p.cause.Error()
	}
	return p.message
}

func (p *problem) Unwrap() error { return p.cause }

// Invalid returns an error that tells the caller what is wrong with the request:
// a ValidationError.
func Invalid(message string) error { return invalid("%s", message) }

func invalid(format string, args ...any) *problem {
	return &problem{status: http.StatusBadRequest, code: "ValidationError", message: fmt.Sprintf(format, args...)}
}

// unauthorized says no more to the caller than message; the refusal is for operators.
func unauthorized(message string, why refusal) *problem {
	return &problem{status: http.StatusUnauthorized, code: "Unauthorized", message: message, refused: &why}
}

func forbidden(message string) *problem {
	return &problem{status: http.StatusForbidden, code: "Forbidden", message: message}
}

func notFound(message string) *problem {
	return &problem{status: http.StatusNotFound, code: "NotFound", message: message}
}

func methodNotAllowed(allow []string) *problem {
	return &problem{
		status: http.StatusMethodNotAllowed, code: "MethodNotAllowed",
		message: "this path takes " + strings.Join(allow, ", "), allow: allow,
	}
}

func unsupportedMediaType() *problem {
	return &problem{
		status: http.StatusUnsupportedMediaType, code: "UnsupportedMediaType",
		message: "the body must be JSON: Content-Type: application/json",
	}
}

func payloadTooLarge(limit int) *problem {
	return &problem{
		status: http.StatusRequestEntityTooLarge, code: "PayloadTooLarge",
		message: fmt.Sprintf("the body is larger than %d bytes", limit),
	}
}

func headersTooLarge() *problem {
	return &problem{
		status: http.StatusRequestHeaderFieldsTooLarge, code: "HeadersTooLarge",
		message: fmt.Sprintf("the headers are larger than %d bytes", maxHeaderBytes),
	}
}

func rateLimitExceeded(retryAfter time.Duration) *problem {
	return &problem{
		status: http.StatusTooManyRequests, code: "RateLimitExceeded",
		message: "too many requests", retryAfter: retryAfter,
	}
}

func dailyLimitExceeded(reset time.Duration) *problem {
	return &problem{
		status: http.StatusTooManyRequests, code: "DailyLimitExceeded",
		message: "the daily limit of this API key is used up; it starts afresh at midnight UTC", retryAfter: reset,
	}
}

// unavailableFor is how long a caller should wait before it tries again.
const unavailableFor = time.Second

func unavailable(message string, cause error) *problem {
	return &problem{
		status: http.StatusServiceUnavailable, code: "ServiceUnavailable",
		message: message, retryAfter: unavailableFor, cause: cause,
	}
}

func internal(cause error) *problem {
	return &problem{
		status: http.StatusInternalServerError, code: "InternalError",
		message: "something went wrong here; the request id helps to find out what", cause: cause,
	}
}

// problemOf returns what an error means for the caller. What it does not know is
// Redis being late or gone, and is worth another try.
func problemOf(err error) *problem {
	var p *problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, cache.ErrOwnerConflict):
		return &problem{status: http.StatusConflict, code: "Conflict", message: "this execution was registered before with another owner"}
	case errors.Is(err, context.Canceled):
		return unavailable("the request was called off", err)
	default:
		return unavailable("Redis does not answer now, or does not confirm what is written; try again", err)
	}
}

// body is the envelope of every error.
func (p *problem) body() []byte {
	b := append(make([]byte, 0, 128+len(p.message)), `{"success":false,"error":`...)
	return append(p.appendTo(b), '}')
}

// appendTo appends what clients are told of the error.
func (p *problem) appendTo(b []byte) []byte {
	b = append(b, `{"code":"`...)
	b = append(b, p.code...)
	b = append(b, `","message":`...)
	b, _ = jsontext.AppendQuote(b, p.message) // fails only for text that is not UTF-8, which it replaces
	return append(b, '}')
}

// writeHeaders sets what belongs to this error beside the body.
func (p *problem) writeHeaders(h http.Header) {
	h["Cache-Control"] = noStore // the next answer may differ
	if p.retryAfter > 0 {
		h["Retry-After"] = []string{strconv.Itoa(int(math.Ceil(p.retryAfter.Seconds())))}
	}
	if p.status == http.StatusUnauthorized {
		h["Www-Authenticate"] = p.challenge()
	}
	if p.allow != nil {
		h["Allow"] = []string{strings.Join(p.allow, ", ")}
	}
}
