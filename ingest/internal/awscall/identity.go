package awscall

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/aws/smithy-go"
)

// badCredentials are the error codes of invalid credentials, expiredCredentials those of
// credentials that have expired.
var (
	badCredentials = []string{
		"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "SignatureDoesNotMatch",
		"IncompleteSignature", "MissingAuthenticationToken", "InvalidSignatureException",
	}
	expiredCredentials = []string{"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
)

const (
	clockBrief = "the clock of this machine is wrong"
	clockCure  = "correct the clock of this machine, and make sure that NTP or chrony runs"
)

// Unidentified reports whether a call failed because AWS does not know the caller. Such
// an error says nothing about the called service.
func Unidentified(err error) bool { return identityError(err) != nil }

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
		return ssoRefused(err)
	case HasCode(err, expiredCredentials...):
		errors.As(err, &api)
		return &Error{brief: "the AWS credentials have expired",
			text: "AWS credentials have expired (" + api.ErrorCode() + "); renew AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or run with a role, which renews them automatically; also check the clock"}
	case wrongClock(err):
		errors.As(err, &api)
		return &Error{brief: clockBrief, text: "AWS refuses the calls because of their time (" + api.ErrorCode() + "); " + clockCure}
	case HasCode(err, badCredentials...):
		errors.As(err, &api)
		return &Error{brief: badBrief, text: fmt.Sprintf(refused, api.ErrorCode())}
	case !unsigned:
		return nil
	case strings.Contains(text, "retrieve jwt"):
		return &Error{brief: noneBrief, text: "the web identity token cannot be read (" + innermost(err).Error() + "); check AWS_WEB_IDENTITY_TOKEN_FILE and the service account of the pod"}
	case strings.Contains(text, "credential process") || strings.Contains(text, "credential_process"):
		return &Error{brief: noneBrief, text: "the credential_process of the profile fails (" + Line(innermost(err).Error()) + "); run it manually, and check AWS_PROFILE"}
	case strings.Contains(text, "failed to load credentials"):
		return &Error{brief: noneBrief, text: "the credentials endpoint of the container returns no credentials (" + Line(innermost(err).Error()) + "); check the task role or the pod identity"}
	case strings.Contains(text, "IMDS"):
		return &Error{brief: noneBrief, text: "no AWS credentials: none are set, and the metadata service of the machine (IMDS) returns no role; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or attach a role (in a container IMDSv2 needs a hop limit of 2)"}
	}
	return &Error{brief: noneBrief, text: "no AWS credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or run with a role"}
}

// wrongClock reports whether AWS considers calls too old or too new. A wrong clock can also
// cause an expired signature.
func wrongClock(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && (HasCode(err, "RequestTimeTooSkewed", "RequestInTheFuture") ||
		strings.HasPrefix(api.ErrorMessage(), "Signature expired") || strings.HasPrefix(api.ErrorMessage(), "Signature not yet current"))
}

// ssoRefused explains why IAM Identity Center returns no credentials. A new login only
// helps if the session has ended.
func ssoRefused(err error) *Error {
	profile := cmp.Or(os.Getenv("AWS_PROFILE"), "default")
	op := cmp.Or(operation(err, "SSO"), operation(err, "SSO OIDC"))
	var api smithy.APIError
	switch {
	case op != nil && !errors.As(op.Err, &api):
		return &Error{brief: "AWS cannot be reached", text: "IAM Identity Center (SSO) cannot be reached (" + Line(innermost(op.Err).Error()) + "); " +
			networkHint(op.Err, "check sso_region of profile "+profile)}
	case op != nil && throttled(op.Err):
		return &Error{brief: "AWS throttles the calls", text: "IAM Identity Center (SSO) throttles the calls (" + api.ErrorCode() + "); statusd tries again"}
	case op != nil && (api.ErrorCode() == "ForbiddenException" || api.ErrorCode() == "ResourceNotFoundException"):
		return &Error{brief: "the AWS credentials are refused", text: "IAM Identity Center (SSO) gives no credentials (" + api.ErrorCode() + ": " + message(api) +
			"); assign this user to sso_account_id and sso_role_name of profile " + profile + ", or correct these settings"}
	}
	return &Error{brief: "the AWS credentials have expired", text: "the SSO session has ended or is refused; run aws sso login --profile " + profile + ", or run with a role"}
}

var roleARN = regexp.MustCompile(`arn:[a-z-]+:iam::\d+:role/[^\s"',;]+`)

const webIdentity = "AssumeRoleWithWebIdentity"

// roleRefused explains why a role could not be assumed.
func roleRefused(op *smithy.OperationError) *Error {
	const check = "check AWS_REGION, AWS_ENDPOINT_URL_STS"
	var api smithy.APIError
	switch {
	case isForeign(op.Err):
		brief, text := foreignAnswer(op.Err, "STS", check)
		return &Error{brief: brief, text: text}
	case !errors.As(op.Err, &api):
		return &Error{brief: "AWS STS cannot be reached", text: "STS cannot be reached to assume a role (" + op.OperationName + ": " +
			Line(innermost(op.Err).Error()) + "); " + networkHint(op.Err, check)}
	}
	role := cmp.Or(roleARN.FindString(api.ErrorMessage()), os.Getenv("AWS_ROLE_ARN"), "of AWS_PROFILE")
	brief, hint := roleHint(op, api)
	return &Error{brief: brief, text: fmt.Sprintf("STS refuses the role %s (%s, %s: %s); %s", role, op.OperationName, api.ErrorCode(), message(api), hint)}
}

// roleHint returns what to do: the role, the credentials of its caller or STS itself can
// be wrong.
func roleHint(op *smithy.OperationError, api smithy.APIError) (brief, hint string) {
	const refused = "the AWS role is refused"
	web := op.OperationName == webIdentity
	switch code := api.ErrorCode(); {
	case throttled(op.Err):
		return "AWS throttles the calls", "statusd tries again. If this lasts, find out what else in this account assumes roles so often"
	case wrongClock(op.Err):
		return clockBrief, clockCure
	case HasCode(op.Err, expiredCredentials...) && web:
		return "the AWS credentials have expired", "the web identity token has expired: make sure that the file in AWS_WEB_IDENTITY_TOKEN_FILE is renewed (in Kubernetes by the kubelet), and check the clock"
	case HasCode(op.Err, expiredCredentials...):
		return "the AWS credentials have expired", "the credentials that assume the role have expired: renew those of its source_profile, or AWS_SESSION_TOKEN and its keys, and check the clock"
	case HasCode(op.Err, badCredentials...):
		return "the AWS credentials are refused", "the credentials that assume the role are refused: correct those of its source_profile, or AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"
	case code == "RegionDisabledException":
		return refused, "activate STS for that region in the account settings of IAM, or set AWS_REGION to a region where it is active"
	case code == "InvalidIdentityToken" || code == "InvalidIdentityTokenException":
		return refused, "add the issuer of the token as an identity provider in IAM, in the account of the role, with the audience of the token (usually sts.amazonaws.com), and check AWS_WEB_IDENTITY_TOKEN_FILE"
	case strings.HasPrefix(code, "IDPCommunicationError"):
		return refused, "AWS cannot read the keys of the token's issuer; statusd tries again. If this lasts, make the discovery document of the issuer public"
	case code == "ValidationError" && strings.Contains(api.ErrorMessage(), "DurationSeconds"):
		return refused, "lower duration_seconds in the profile, or raise the maximum session duration of the role"
	case code == "ValidationError":
		return refused, "correct the setting that the message names: role_arn in the profile, AWS_ROLE_ARN or AWS_ROLE_SESSION_NAME"
	case serverFault(api):
		return "AWS STS returned an error", faultOfAWS
	case explicitlyDenied(api.ErrorMessage()) || boundedByOthers(api.ErrorMessage()):
		return refused, grant("sts:"+op.OperationName, api.ErrorMessage())
	case web:
		return refused, "add the identity provider and this service account to the trust policy of the role, and check AWS_WEB_IDENTITY_TOKEN_FILE"
	}
	return refused, "add this caller to the trust policy of the role, and grant the caller sts:AssumeRole"
}

// boundedByOthers reports whether AWS names a policy that neither the caller nor the role has.
func boundedByOthers(message string) bool {
	for _, g := range grants {
		if strings.Contains(message, g.policy) && !strings.Contains(g.policy, "-based") {
			return true
		}
	}
	return false
}

// operation returns the failed call to a service, nil if there is none. An error of SQS
// may wrap an error of STS.
func operation(err error, service string) *smithy.OperationError {
	for {
		op, ok := errors.AsType[*smithy.OperationError](err)
		if !ok || op.ServiceID == service {
			return op
		}
		err = op.Err
	}
}
