package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"

	"statuscache/cache/cachetest"
)

// TestRoleThatIsRefused has an STS refuse a role, and checks that the error names STS,
// the role and what was refused, and no permission on the queue.
func TestRoleThatIsRefused(t *testing.T) {
	const role = "arn:aws:iam::123456789012:role/statusd"
	const error400 = `<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>1</RequestId></ErrorResponse>`
	for name, c := range map[string]struct {
		web           bool
		code, message string
		fixes         []string
	}{
		"by the trust policy": {false, "AccessDenied", "User: arn:aws:iam::123456789012:user/ci is not authorized to perform: sts:AssumeRole on resource: " + role, []string{"AssumeRole", "user/ci", "trust policy", "sts:AssumeRole"}},
		"its caller's token":  {false, "ExpiredToken", "The security token included in the request is expired", []string{"ExpiredToken", role}},
		"the identity token":  {true, "InvalidIdentityToken", "No OpenIDConnect provider found in your account", []string{"AssumeRoleWithWebIdentity", "InvalidIdentityToken", role, "AWS_WEB_IDENTITY_TOKEN_FILE"}},
		"for web identity":    {true, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", []string{"AssumeRoleWithWebIdentity", role, "service account"}},
	} {
		t.Run(name, func(t *testing.T) {
			emptyAWS(t)
			sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.WriteHeader(http.StatusForbidden)
				fmt.Fprintf(w, error400, c.code, c.message)
			}))
			defer sts.Close()
			token := filepath.Join(t.TempDir(), "token")
			write(t, token, "header.payload.signature")
			t.Setenv("AWS_REGION", "eu-west-1")
			t.Setenv("AWS_ENDPOINT_URL_STS", sts.URL)
			t.Setenv("AWS_ROLE_ARN", role)
			if c.web {
				t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", token)
			} else {
				write(t, os.Getenv("AWS_SHARED_CREDENTIALS_FILE"), "[base]\naws_access_key_id = id\naws_secret_access_key = secret\n")
				write(t, os.Getenv("AWS_CONFIG_FILE"), "[profile statusd]\nrole_arn = "+role+"\nsource_profile = base\n")
				t.Setenv("AWS_PROFILE", "statusd")
			}
			err := checkWith(t)
			checkCure(t, err, append(c.fixes, "STS refuses the role "+role, c.code)...)
			if strings.Contains(err.Error(), "sqs:") {
				t.Errorf("%v speaks of the queue's permissions", err)
			}
		})
	}
}

// checkWith asks a queue, which is not there, with the settings of the environment.
func checkWith(t *testing.T) error {
	t.Helper()
	c, err := LoadAWS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	q, err := NewSQS(c, "http://127.0.0.1:1/1/q", nil)
	if err != nil {
		t.Fatal(err)
	}
	return q.Check(t.Context())
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestCredentialsThatCannotBeRead says which of the many ways to credentials fails.
func TestCredentialsThatCannotBeRead(t *testing.T) {
	for name, c := range map[string]struct {
		env    map[string]string
		config string
		fixes  []string
	}{
		"web identity without its token": {map[string]string{"AWS_ROLE_ARN": "arn:aws:iam::1:role/x", "AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere/token"}, "", []string{"web identity token", "/nowhere/token", "AWS_WEB_IDENTITY_TOKEN_FILE"}},
		"STS not reached": {map[string]string{"AWS_ROLE_ARN": "arn:aws:iam::1:role/x", "AWS_WEB_IDENTITY_TOKEN_FILE": "sqs_errors_test.go", "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1"}, "",
			[]string{"STS cannot be reached", "AssumeRoleWithWebIdentity", "AWS_ENDPOINT_URL_STS"}},
		"SSO that has ended": {map[string]string{"AWS_PROFILE": "work", "HOME": "/nowhere"},
			"[profile work]\nsso_session = s\nsso_account_id = 123456789012\nsso_role_name = r\n[sso-session s]\nsso_start_url = https://x.awsapps.com/start\nsso_region = eu-west-1\n", []string{"SSO", "aws sso login --profile work"}},
		"process that fails": {map[string]string{"AWS_PROFILE": "p"}, "[profile p]\ncredential_process = /bin/false\n", []string{"credential_process", "AWS_PROFILE"}},
		"no metadata service": {map[string]string{"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1"}, "",
			[]string{"no AWS credentials", "IMDS", "attach a role"}},
		"container endpoint": {map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/"}, "", []string{"credentials endpoint of the container", "task role"}},
	} {
		t.Run(name, func(t *testing.T) {
			switch name {
			case "no metadata service":
				cachetest.SkipShort(t, "seconds of repetitions")
			case "process that fails":
				cachetest.SkipShort(t, "another program")
			}
			emptyAWS(t)
			t.Setenv("AWS_REGION", "eu-west-1")
			for name, value := range c.env {
				t.Setenv(name, value)
			}
			write(t, os.Getenv("AWS_CONFIG_FILE"), c.config)
			err := checkWith(t)
			checkCure(t, err, c.fixes...)
			if strings.Contains(err.Error(), "sqs:") {
				t.Errorf("%v speaks of the queue's permissions", err)
			}
		})
	}
}

// TestReceiveThatIsRefused has SQS refuse a receive in the ways that begin after a
// good start. The words for everybody name nothing of ours.
func TestReceiveThatIsRefused(t *testing.T) {
	t.Parallel()
	for code, c := range map[string]struct {
		message, brief string
		fixes          []string
	}{
		"KmsAccessDenied":           {"The ciphertext refers to a customer master key that does not exist", "the queue's encryption key cannot be used", []string{"kms:Decrypt", "policy of the key"}},
		"KmsDisabled":               {"arn:aws:kms:eu-west-1:123456789012:key/1 is disabled.", "the queue's encryption key cannot be used", []string{"KmsDisabled", "enable the key"}},
		"KMS.AccessDeniedException": {"no", "the queue's encryption key cannot be used", []string{"kms:Decrypt"}},
		"ExpiredToken":              {"expired", "the AWS credentials have expired", []string{"renew", "role"}},
		"InvalidClientTokenId":      {"no", "the AWS credentials are refused", []string{"AWS_ACCESS_KEY_ID"}},
		"QueueDoesNotExist":         {"no", "the queue does not exist", []string{"no such queue", "URL"}},
		"OverLimit":                 {"too many", "too many messages are in flight", []string{"OverLimit"}},
		"ServiceUnavailable":        {"later", "AWS returned an error", []string{"ServiceUnavailable: later", "Health Dashboard"}},
		"InternalFailure":           {"oops", "AWS returned an error", []string{"InternalFailure: oops", "Health Dashboard"}},
		"RequestThrottled":          {"Rate exceeded", "AWS throttles the calls", []string{"RequestThrottled", "Service Quotas"}},
		"ThrottlingException":       {"Rate exceeded", "AWS throttles the calls", []string{"Service Quotas"}},
		"KMS.ThrottlingException":   {"You have exceeded the rate at which you may call KMS", "AWS throttles the calls", []string{"KMS", "Service Quotas"}},
		"RequestTimeTooSkewed":      {"The difference is too large", "the clock of this machine is wrong", []string{"correct the clock", "NTP"}},
		"SignatureDoesNotMatch":     {"Signature expired: 20261126T000000Z is now earlier than 20261126T120000Z", "the clock of this machine is wrong", []string{"correct the clock"}},
		"InvalidSecurity":           {"not made securely", "AWS returned an error", []string{"https://"}},
		"OptInRequired":             {"no", "AWS returned an error", []string{"enable the region"}},
		"InvalidAddress":            {"no", "AWS returned an error", []string{"AWS_REGION", "endpoint"}},
		"SomethingNew":              {"no", "AWS returned an error", []string{"SomethingNew: no", "check the URL"}},
		"AccessDeniedException":     {"User: arn:aws:sts::123456789012:assumed-role/r/s is not authorized to perform: sqs:receivemessage on resource: arn:aws:sqs:eu-west-1:123456789012:q because no VPC endpoint policy allows the sqs:receivemessage action", "access denied", []string{"sqs:receivemessage", "VPC endpoint policy", "grant sqs:ReceiveMessage"}},
		"AccessDenied":              {"User: arn:x is not authorized to perform: sqs:receivemessage on resource: arn:y with an explicit deny in a resource-based policy", "access denied", []string{"explicit deny in a resource-based policy"}},
		"InvalidSignatureException": {"The request signature we calculated does not match", "the AWS credentials are refused", []string{"InvalidSignatureException"}},
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			q, _ := serveSQS(t, http.StatusBadRequest, fmt.Sprintf(`{"__type":"com.amazonaws.sqs#%s","message":%q}`, code, c.message))
			_, err := q.Receive(t.Context(), pollWait)
			why := queueReason(err)
			if why.brief != c.brief || why.text != err.Error() {
				t.Errorf("%+v, want %q", why, c.brief)
			}
			for _, fix := range c.fixes {
				if !strings.Contains(why.text, fix) {
					t.Errorf("%q does not say %q", why.text, fix)
				}
			}
			if strings.Contains(why.text, "RequestID") || strings.Contains(why.text, "\n") {
				t.Errorf("not for people: %q", why.text)
			}
		})
	}
}

// TestQueueThatDoesNotAnswer takes connections and says nothing.
func TestQueueThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server does not notice that the client went away
		<-r.Context().Done()
	}))
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := newSQS(t, silent.URL+"/1/q").Receive(ctx, pollWait)
	if why := queueReason(err); why.brief != "there is no answer" || !strings.Contains(why.text, "AWS_ENDPOINT_URL_SQS") {
		t.Errorf("%+v", why)
	}
}

// TestStepFunctionsThatRefuse: a refused role or expired credentials pass, and say nothing
// about an execution; an execution that may not be described is given up.
func TestStepFunctionsThatRefuse(t *testing.T) {
	t.Parallel()
	call := func(service string, err error) error {
		return &smithy.OperationError{ServiceID: service, OperationName: "DescribeExecution", Err: err}
	}
	code := func(code string) error { return &smithy.GenericAPIError{Code: code, Message: "no"} }
	for name, c := range map[string]struct {
		err    error
		denied bool
		fix    string
	}{
		"the role":        {call("SFN", call("STS", code("AccessDenied"))), false, "trust policy"},
		"its credentials": {call("SFN", code("ExpiredTokenException")), false, "renew"},
		"the execution":   {call("SFN", code("AccessDeniedException")), true, "grant states:DescribeExecution"},
		"its key":         {call("SFN", code("KmsAccessDeniedException")), true, "kms:Decrypt"},
		"a disabled key":  {call("SFN", code("KmsInvalidStateException")), false, "describe-key"},
	} {
		if err := classified(c.err); errors.Is(err, ErrDenied) != c.denied || !strings.Contains(err.Error(), c.fix) {
			t.Errorf("%s: %v, want %q", name, err, c.fix)
		}
	}
}
