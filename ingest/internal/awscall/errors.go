package awscall

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/smithy-go"
)

// Error is an error of the SDK in one line.
type Error struct {
	text  string // for the operator; it names the fix
	brief string // for the public: it names no account, resource or person
	err   error
}

// WithText gives an error another text. What it wraps stays.
func WithText(text string, err error) *Error { return &Error{text: text, err: err} }

// Error implements error. The text is for the operator and names the fix.
func (e *Error) Error() string { return e.text }

// Public is the text for the public: it names no account, resource or person.
func (e *Error) Public() string { return e.brief }

// Unwrap returns the error of the SDK.
func (e *Error) Unwrap() error { return e.err }

// ExplainQueue says what an error of a call to SQS means. Permission is what the call
// needs, such as "sqs:DeleteMessage on the queue".
func ExplainQueue(permission string, err error) *Error { return explain(permission, "SQS", err) }

// ExplainError says what an error of any other call means. Permission is what the call
// needs, such as events:PutRule.
func ExplainError(permission string, err error) string { return explain(permission, "AWS", err).text }

// WithPermission makes one line of the error of a call that needs a permission. It
// returns nil for nil.
func WithPermission(permission string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", permission, explain(permission, "AWS", err))
}

// explain finds out what an error of the SDK means: who refuses, and why. Identity comes
// first: a call without one fails as an error of the called service.
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
	var noAnswer *smithy.DeserializationError
	var api smithy.APIError
	e := &Error{err: err}
	switch {
	case HasCode(err, "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"):
		e.brief, e.text = "the queue is gone", "there is no such queue; check its URL, the account and AWS_REGION"
	case throttled(err) && errors.As(err, &api):
		e.brief = "AWS throttles the calls"
		e.text = fmt.Sprintf("the calls are throttled (%s: %s); statusd tries again. If it lasts, see in Service Quotas which limit is reached, and what else in this account uses it up", api.ErrorCode(), message(api))
	case errors.As(err, &api) && isKMS(api.ErrorCode()):
		e.brief = "the queue's encryption key cannot be used"
		e.text = fmt.Sprintf("the queue's encryption key cannot be used (%s: %s); grant kms:Decrypt on it to this role, in the policy of the key too, and see that the key is enabled",
			api.ErrorCode(), message(api))
	case Denied(err):
		e.brief, e.text = "access denied", deniedText(permission, api)
	case HasCode(err, "OverLimit"):
		e.brief, e.text = "too many messages are in flight", "too many messages of the queue are received and not deleted (OverLimit); check why they are not deleted"
	case errors.As(err, &noAnswer):
		e.brief, e.text = "the endpoint is not AWS", "the endpoint is not "+service+"; "+check
	case errors.As(err, &api):
		e.brief, e.text = "AWS answers with an error", api.ErrorCode()+": "+message(api)
		if cure := cureFor(api, check, service); cure != "" {
			e.text += "; " + cure
		}
	case errors.Is(err, context.DeadlineExceeded):
		e.brief, e.text = "there is no answer", "there is no answer in time; "+check+" and the network"
	case errors.As(err, &network):
		e.brief, e.text = "AWS cannot be reached", "AWS cannot be reached ("+innermost(err).Error()+"); "+check+" and the network"
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

// cures say what helps against the error codes of AWS that tell nothing about it.
var cures = map[string]string{
	"InvalidSecurity":      "write https:// in the URL of the queue and in AWS_ENDPOINT_URL_SQS",
	"OptInRequired":        "enable the region, or finish the registration of the account",
	"InvalidAddress":       "check that AWS_REGION and the endpoint are those of the queue",
	"UnsupportedOperation": "check that what AWS_ENDPOINT_URL_SQS names supports this call",
}

// cureFor returns what to do about an error that nothing else explains; empty if only the
// caller may know.
func cureFor(api smithy.APIError, check, service string) string {
	if cure, ok := cures[api.ErrorCode()]; ok {
		return cure
	}
	if api.ErrorFault() == smithy.FaultServer || strings.HasPrefix(api.ErrorCode(), "Internal") || strings.Contains(api.ErrorCode(), "Unavailable") {
		return "that is a fault of AWS and passes; statusd tries again. If it lasts, see the AWS Health Dashboard"
	}
	if service != "SQS" {
		return ""
	}
	return check
}

// badCredentials are the error codes of invalid credentials, expiredCredentials those of
// credentials that have expired.
var (
	badCredentials = []string{
		"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "SignatureDoesNotMatch",
		"IncompleteSignature", "MissingAuthenticationToken", "InvalidSignatureException",
	}
	expiredCredentials = []string{"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
)

// identityError explains an error about our identity; nil for other errors.
func identityError(err error) *Error {
	if op := operation(err, "STS"); op != nil {
		return roleRefused(op)
	}
	const badBrief, noneBrief = "the AWS credentials are refused", "there are no AWS credentials"
	const refused = "AWS credentials refused (%s); check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or AWS_PROFILE"
	text := err.Error()
	var api smithy.APIError
	switch unsigned := strings.Contains(text, "get credentials") || strings.Contains(text, "get identity"); {
	case operation(err, "SSO") != nil || operation(err, "SSO OIDC") != nil || unsigned && strings.Contains(text, "SSO"):
		return &Error{brief: "the AWS credentials have expired",
			text: "the SSO session has ended or is refused; aws sso login --profile " + cmp.Or(os.Getenv("AWS_PROFILE"), "default") + ", or run with a role"}
	case HasCode(err, expiredCredentials...):
		errors.As(err, &api)
		return &Error{brief: "the AWS credentials have expired",
			text: "AWS credentials have expired (" + api.ErrorCode() + "); renew AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or run with a role, which renews them itself; check the clock too"}
	case wrongClock(err):
		errors.As(err, &api)
		return &Error{brief: "the clock of this machine is wrong", text: "AWS refuses the time of the calls (" + api.ErrorCode() + "); set the clock of this machine, and see that NTP or chrony runs"}
	case HasCode(err, badCredentials...):
		errors.As(err, &api)
		return &Error{brief: badBrief, text: fmt.Sprintf(refused, api.ErrorCode())}
	case !unsigned:
		return nil
	case strings.Contains(text, "retrieve jwt"):
		return &Error{brief: noneBrief, text: "the web identity token cannot be read (" + innermost(err).Error() + "); check AWS_WEB_IDENTITY_TOKEN_FILE and the service account of the pod"}
	case strings.Contains(text, "credential process") || strings.Contains(text, "credential_process"):
		return &Error{brief: noneBrief, text: "the credential_process of the profile fails (" + Line(innermost(err).Error()) + "); run it by hand and check AWS_PROFILE"}
	case strings.Contains(text, "failed to load credentials"):
		return &Error{brief: noneBrief, text: "the credentials endpoint of the container does not give any (" + Line(innermost(err).Error()) + "); check the task role or the pod identity"}
	case strings.Contains(text, "IMDS"):
		return &Error{brief: noneBrief, text: "no AWS credentials: none are set, and the metadata service of the machine (IMDS) gives no role; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or attach a role (in a container IMDSv2 needs a hop limit of 2)"}
	}
	return &Error{brief: noneBrief, text: "no AWS credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or run with a role"}
}

// wrongClock reports whether AWS takes calls for too old or too new. A wrong clock shows as
// a signature that has expired, too.
func wrongClock(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && (HasCode(err, "RequestTimeTooSkewed", "RequestInTheFuture") ||
		strings.HasPrefix(api.ErrorMessage(), "Signature expired") || strings.HasPrefix(api.ErrorMessage(), "Signature not yet current"))
}

var roleARN = regexp.MustCompile(`arn:[a-z-]+:iam::\d+:role/[^\s"',;]+`)

// roleRefused explains why a role could not be assumed.
func roleRefused(op *smithy.OperationError) *Error {
	var api smithy.APIError
	if !errors.As(op.Err, &api) {
		return &Error{brief: "AWS STS cannot be reached", text: "STS cannot be reached to assume a role (" + op.OperationName + ": " +
			Line(innermost(op.Err).Error()) + "); check AWS_REGION, AWS_ENDPOINT_URL_STS and the network"}
	}
	role := cmp.Or(roleARN.FindString(api.ErrorMessage()), os.Getenv("AWS_ROLE_ARN"), "of AWS_PROFILE")
	fix := "add this caller to the trust policy of the role, and grant the caller sts:AssumeRole"
	if op.OperationName == "AssumeRoleWithWebIdentity" {
		fix = "have the trust policy of the role name the identity provider and this service account, and check AWS_WEB_IDENTITY_TOKEN_FILE"
	}
	return &Error{
		brief: "the AWS role is refused",
		text:  fmt.Sprintf("STS refuses the role %s (%s, %s: %s); %s", role, op.OperationName, api.ErrorCode(), message(api), fix),
	}
}

// operation returns the call to a service that failed, nil if there is none: a call to
// SQS may hold one to STS.
func operation(err error, service string) *smithy.OperationError {
	for {
		op, ok := errors.AsType[*smithy.OperationError](err)
		if !ok || op.ServiceID == service {
			return op
		}
		err = op.Err
	}
}

func isKMS(code string) bool {
	return strings.HasPrefix(code, "Kms") || strings.HasPrefix(code, "KMS.")
}

var (
	actionDenied = regexp.MustCompile(`to perform: ([a-zA-Z0-9]+:[a-zA-Z0-9]+)`)
	policyDenied = regexp.MustCompile(`(?:because|with an?) ([^.;]*polic(?:y|ies)[^.;]*)`)
)

// deniedText says what to grant and, if AWS says so, which kind of policy denies access.
func deniedText(permission string, api smithy.APIError) string {
	text := "access denied"
	if action := actionDenied.FindStringSubmatch(api.ErrorMessage()); action != nil {
		text += " to " + action[1]
		if strings.HasPrefix(action[1], "kms:") {
			permission = action[1] + " on the queue's encryption key, in its policy too"
		}
	}
	if policy := policyDenied.FindStringSubmatch(api.ErrorMessage()); policy != nil {
		text += " (" + Line(policy[1]) + ")"
	}
	return text + "; grant " + permission
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

// NotFound reports whether a call failed because a queue, rule, execution or the like
// does not exist.
func NotFound(err error) bool {
	return HasCode(err, "ResourceNotFoundException", "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue",
		"StateMachineDoesNotExist", "ExecutionDoesNotExist")
}
