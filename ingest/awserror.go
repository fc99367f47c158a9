package ingest

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/aws/smithy-go"
)

// trouble is diagnosis for calls that need a permission of their own, such as
// events:PutRule.
func trouble(permission string, err error) string {
	var network net.Error
	var noAnswer *smithy.DeserializationError
	switch {
	case denied(err):
		return "access denied; grant " + permission
	case errors.As(err, &noAnswer):
		return "what answers is not AWS; check AWS_ENDPOINT_URL"
	case hasCode(err, badCredentials...):
		return diagnosis(err)
	case errors.As(err, &network):
		return "AWS cannot be reached (" + innermost(err).Error() + "); check AWS_REGION, AWS_ENDPOINT_URL and the network"
	}
	return diagnosis(err)
}

// failed makes one line of the error of a call, with the permission if that is
// what is missing.
func failed(permission string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", permission, &awsError{trouble(permission, err), err})
}

// awsError says in one line what the SDK says in many.
type awsError struct {
	text string
	err  error
}

func (e *awsError) Error() string { return e.text }
func (e *awsError) Unwrap() error { return e.err }

func denied(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && (strings.Contains(api.ErrorCode(), "AccessDenied") || strings.Contains(api.ErrorCode(), "UnauthorizedOperation"))
}

// hasCode reports whether AWS answered with one of these error codes.
func hasCode(err error, codes ...string) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	for _, code := range codes {
		if api.ErrorCode() == code {
			return true
		}
	}
	return false
}

// notThere reports whether a call failed because what it is about does not exist.
func notThere(err error) bool {
	return hasCode(err, "ResourceNotFoundException", "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue",
		"StateMachineDoesNotExist", "ExecutionDoesNotExist")
}
