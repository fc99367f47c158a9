package awscall

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/aws/smithy-go"
)

// Error is an error of the SDK as one line.
type Error struct {
	text  string // for the operator; it names the fix
	brief string // for the public: it names no account, resource or person
	err   error
}

// WithText gives an error another text. It still wraps the same error.
func WithText(text string, err error) *Error { return &Error{text: text, err: err} }

// Error implements error. The text is for the operator and names the fix.
func (e *Error) Error() string { return e.text }

// Public returns the text for the public: it names no account, resource or person.
func (e *Error) Public() string { return e.brief }

// Unwrap returns the error of the SDK.
func (e *Error) Unwrap() error { return e.err }

// ExplainQueue explains an error of a call to SQS. permission is what the call needs,
// such as "sqs:DeleteMessage on the queue".
func ExplainQueue(permission string, err error) *Error { return explain(permission, "SQS", err) }

// ExplainError explains an error of any other call. permission is what the call needs,
// such as events:PutRule.
func ExplainError(permission string, err error) string { return explain(permission, "AWS", err).text }

// WithPermission turns the error of a call that needs a permission into one line. It
// returns nil for nil.
func WithPermission(permission string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", permission, explain(permission, "AWS", err))
}

// explain explains an error of the SDK: which service refuses the call, and why. It
// checks for identity errors first, because a call without an identity also looks like an
// error of the called service.
func explain(permission, service string, err error) *Error {
	if e := identityError(err); e != nil {
		e.err = err
		return e
	}
	check := "check AWS_REGION, AWS_ENDPOINT_URL"
	if service == "SQS" {
		check = "check the URL, AWS_ENDPOINT_URL_SQS"
	}
	var network net.Error
	var api smithy.APIError
	e := &Error{err: err}
	switch {
	case HasCode(err, "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"):
		e.brief, e.text = "the queue does not exist", "there is no such queue; check its URL, the account and AWS_REGION"
	case throttled(err) && errors.As(err, &api):
		e.brief = "AWS throttles the calls"
		e.text = fmt.Sprintf("the calls are throttled (%s: %s); statusd tries again. If this lasts, check in Service Quotas which limit is reached, and find out what else in this account uses it", api.ErrorCode(), message(api))
	case errors.As(err, &api) && isKMS(api.ErrorCode()):
		e.brief, e.text = keyText(service, api)
	case Denied(err):
		e.brief, e.text = "access denied", deniedText(permission, api)
	case HasCode(err, "OverLimit"):
		e.brief, e.text = "too many messages are in flight", "too many messages of the queue are received and not deleted (OverLimit); check why they are not deleted"
	case isForeign(err):
		e.brief, e.text = foreignAnswer(err, service, check)
	case errors.As(err, &api):
		e.brief, e.text = "AWS returned an error", api.ErrorCode()+": "+message(api)
		if hint := hintFor(api, check, service); hint != "" {
			e.text += "; " + hint
		}
	case errors.Is(err, context.DeadlineExceeded):
		e.brief, e.text = "there is no answer", "there is no answer in time; "+check+" and the network"
	case errors.As(err, &network):
		e.brief, e.text = "AWS cannot be reached", "AWS cannot be reached ("+Line(innermost(err).Error())+"); "+networkHint(err, check)
	default:
		e.brief, e.text = "the call fails", Line(err.Error())
	}
	return e
}

// throttled reports whether AWS refuses calls because there are too many.
func throttled(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && (strings.Contains(api.ErrorCode(), "Throttl") || HasCode(err, "TooManyRequestsException", "RequestLimitExceeded", "SlowDown", "BandwidthLimitExceeded"))
}

// hints has what to do about AWS error codes that do not say it themselves.
var hints = map[string]string{
	"InvalidSecurity":      "write https:// in the URL of the queue and in AWS_ENDPOINT_URL_SQS",
	"OptInRequired":        "enable the region, or complete the sign-up of the account",
	"InvalidAddress":       "check that AWS_REGION and the endpoint belong to the queue",
	"UnsupportedOperation": "check that the endpoint in AWS_ENDPOINT_URL_SQS supports this call",
}

// hintFor returns what to do about an error that is not explained otherwise; empty if
// only the caller can know.
func hintFor(api smithy.APIError, check, service string) string {
	if hint, ok := hints[api.ErrorCode()]; ok {
		return hint
	}
	if serverFault(api) {
		return faultOfAWS
	}
	if service != "SQS" {
		return ""
	}
	return check
}

const faultOfAWS = "this is a temporary fault of AWS; statusd tries again. If this lasts, check the AWS Health Dashboard"

func serverFault(api smithy.APIError) bool {
	return api.ErrorFault() == smithy.FaultServer || strings.HasPrefix(api.ErrorCode(), "Internal") || strings.Contains(api.ErrorCode(), "Unavailable")
}

func message(api smithy.APIError) string { return Line(api.ErrorMessage()) }

func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// Denied reports whether AWS denied access.
func Denied(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && (strings.Contains(api.ErrorCode(), "AccessDenied") || strings.Contains(api.ErrorCode(), "UnauthorizedOperation"))
}

// HasCode reports whether AWS answered with one of these error codes.
func HasCode(err error, codes ...string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && slices.Contains(codes, api.ErrorCode())
}

// NotFound reports whether a call failed because a resource such as a queue, rule or
// execution does not exist.
func NotFound(err error) bool {
	return HasCode(err, "ResourceNotFoundException", "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue",
		"StateMachineDoesNotExist", "ExecutionDoesNotExist")
}
