package awscall

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

const notAuthorized = "User: arn:aws:sts::123456789012:assumed-role/statusd/i is not authorized to perform: "

func failed(service, action string, err error) error {
	return &smithy.OperationError{ServiceID: service, OperationName: action, Err: err}
}

func refusedWith(code, message string) error {
	return &smithy.GenericAPIError{Code: code, Message: message, Fault: smithy.FaultClient}
}

// receiveNeeds wraps an error of getting credentials as the SDK does.
func receiveNeeds(err error) error {
	return failed("SQS", "ReceiveMessage", errors.Join(errors.New("get identity: get credentials: failed to refresh cached credentials"), err))
}

func sent(err error) error {
	return failed("SQS", "ReceiveMessage", &smithyhttp.RequestSendError{Err: &url.Error{Op: "Post", URL: "https://sqs.eu-west-1.amazonaws.com/", Err: err}})
}

func statusOf(status int) error {
	answer := &smithyhttp.Response{Response: &http.Response{StatusCode: status, Header: http.Header{}}}
	return failed("SQS", "ReceiveMessage", &smithyhttp.ResponseError{Response: answer, Err: &smithy.DeserializationError{Err: errors.New("invalid character '<'")}})
}

// explained is what must and what must not stand in the explanation of an error.
type explained struct {
	err      error
	has, not []string
}

func checkExplained(t *testing.T, cases map[string]explained) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := ExplainQueue("sqs:ReceiveMessage on the queue", c.err).Error()
			for _, want := range c.has {
				if !strings.Contains(text, want) {
					t.Errorf("%q lacks %q", text, want)
				}
			}
			for _, wrong := range c.not {
				if strings.Contains(text, wrong) {
					t.Errorf("%q has %q", text, wrong)
				}
			}
		})
	}
}

// TestDenialNamesThePolicyToChange: what helps depends on the kind of policy that AWS
// names, and a grant does not help against a statement that denies.
func TestDenialNamesThePolicyToChange(t *testing.T) {
	t.Parallel()
	denied := func(why string) error {
		return failed("SQS", "ReceiveMessage", refusedWith("AccessDenied", notAuthorized+"sqs:receivemessage on resource: arn:aws:sqs:eu-west-1:123456789012:q "+why))
	}
	checkExplained(t, map[string]explained{
		"no policy of the role":       {denied("because no identity-based policy allows the sqs:receivemessage action"), []string{"grant sqs:ReceiveMessage on the queue in a policy of the role"}, nil},
		"no policy of the queue":      {denied("because no resource-based policy allows the sqs:receivemessage action"), []string{"grant sqs:ReceiveMessage on the queue", "in the policy of the resource"}, nil},
		"no permissions boundary":     {denied("because no permissions boundary allows the sqs:receivemessage action"), []string{"in the permissions boundary"}, nil},
		"no session policy":           {denied("because no session policy allows the sqs:receivemessage action"), []string{"in the session policy"}, nil},
		"no policy of the endpoint":   {denied("because no VPC endpoint policy allows the sqs:receivemessage action"), []string{"in the policy of the VPC endpoint"}, nil},
		"no service control policy":   {denied("because no service control policy allows the sqs:receivemessage action"), []string{"service control policies of the organization"}, nil},
		"denied to the organization":  {denied("with an explicit deny in a service control policy"), []string{"(explicit deny in a service control policy)", "change the statement"}, []string{"; grant "}},
		"denied to the resource":      {denied("with an explicit deny in a resource control policy"), []string{"change the statement"}, []string{"; grant "}},
		"denied to the role":          {denied("with an explicit deny in an identity-based policy"), []string{"change the statement"}, []string{"; grant "}},
		"denied by the boundary":      {denied("with an explicit deny in a permissions boundary"), []string{"(explicit deny in a permissions boundary)", "change the statement"}, []string{"; grant "}},
		"no word about a policy":      {failed("SQS", "ReceiveMessage", refusedWith("AccessDenied", "Access to the resource is denied.")), []string{"access denied; grant sqs:ReceiveMessage on the queue"}, nil},
		"the encryption key is meant": {failed("SQS", "ReceiveMessage", refusedWith("AccessDenied", notAuthorized+"kms:Decrypt on resource: arn:aws:kms:eu-west-1:1:key/2 because no identity-based policy allows the kms:Decrypt action")), []string{"grant kms:Decrypt on the encryption key"}, []string{"sqs:ReceiveMessage"}},
	})
}

// TestKeyThatCannotBeUsed: a key that is off, gone or of another kind needs no grant.
func TestKeyThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	key := func(code string) error { return failed("SQS", "ReceiveMessage", refusedWith(code, "no")) }
	checkExplained(t, map[string]explained{
		"not allowed":      {key("KMS.AccessDeniedException"), []string{"the queue's encryption key", "grant kms:Decrypt"}, nil},
		"disabled":         {key("KMS.DisabledException"), []string{"aws kms enable-key"}, []string{"grant"}},
		"to be deleted":    {key("KmsInvalidState"), []string{"cancel-key-deletion"}, []string{"grant"}},
		"gone":             {key("KmsNotFound"), []string{"no such key"}, []string{"grant"}},
		"of another kind":  {key("KmsInvalidKeyUsage"), []string{"symmetric"}, []string{"grant"}},
		"of another right": {failed("SQS", "ReceiveMessage", refusedWith("KMS.AccessDeniedException", notAuthorized+"kms:Decrypt with an explicit deny in a resource-based policy")), []string{"change the statement"}, []string{"; grant"}},
	})
}

// TestRoleThatCannotBeAssumed: the trust policy of the role is only one of the reasons.
func TestRoleThatCannotBeAssumed(t *testing.T) {
	t.Parallel()
	assume := func(code, message string) error {
		return receiveNeeds(failed("STS", "AssumeRole", refusedWith(code, message)))
	}
	web := func(code, message string) error {
		return receiveNeeds(failed("STS", webIdentity, refusedWith(code, message)))
	}
	const trust = "trust policy"
	checkExplained(t, map[string]explained{
		"not trusted":           {assume("AccessDenied", notAuthorized+"sts:AssumeRole on resource: arn:aws:iam::1:role/r"), []string{"role/r", trust, "grant the caller sts:AssumeRole"}, nil},
		"denied":                {assume("AccessDenied", notAuthorized+"sts:AssumeRole on resource: arn:aws:iam::1:role/r with an explicit deny in a service control policy"), []string{"change the statement"}, []string{"add this caller", "; grant"}},
		"past a boundary":       {assume("AccessDenied", notAuthorized+"sts:AssumeRole on resource: arn:aws:iam::1:role/r because no permissions boundary allows the sts:AssumeRole action"), []string{"permissions boundary"}, []string{"add this caller"}},
		"caller expired":        {assume("ExpiredToken", "The security token included in the request is expired"), []string{"renew", "source_profile"}, []string{trust}},
		"caller not known":      {assume("InvalidClientTokenId", "The security token included in the request is invalid."), []string{"correct", "AWS_ACCESS_KEY_ID"}, []string{trust}},
		"wrong clock":           {assume("SignatureDoesNotMatch", "Signature expired: 20261126T000000Z is now earlier than 20261126T120000Z"), []string{"correct the clock"}, []string{trust}},
		"session too long":      {assume("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."), []string{"duration_seconds"}, []string{trust}},
		"role misspelt":         {assume("ValidationError", "statusd is invalid"), []string{"role_arn"}, []string{trust}},
		"STS off in the region": {assume("RegionDisabledException", "STS is not activated in this region"), []string{"activate STS"}, []string{trust}},
		"too often":             {assume("Throttling", "Rate exceeded"), []string{"tries again"}, []string{trust}},
		"STS ill":               {assume("InternalFailure", "oops"), []string{"fault of AWS"}, []string{trust}},
		"web token expired":     {web("ExpiredTokenException", "Token expired: current date/time 1700000000 must be before the expiration date/time 1600000000"), []string{"web identity token has expired", "AWS_WEB_IDENTITY_TOKEN_FILE"}, []string{trust, "AWS_SESSION_TOKEN"}},
		"web issuer not known":  {web("InvalidIdentityToken", "No OpenIDConnect provider found in your account for https://oidc.example.com"), []string{"identity provider in IAM"}, []string{trust}},
		"web audience":          {web("InvalidIdentityToken", "Incorrect token audience"), []string{"audience"}, []string{trust}},
		"web issuer away":       {web("IDPCommunicationError", "timeout"), []string{"keys of the token's issuer"}, []string{trust}},
		"web not trusted":       {web("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"), []string{trust, "service account"}, nil},
	})
}

// TestSSOThatGivesNoCredentials: a new login does not help a user without the assignment.
func TestSSOThatGivesNoCredentials(t *testing.T) {
	t.Parallel()
	get := func(err error) error { return receiveNeeds(failed("SSO", "GetRoleCredentials", err)) }
	const login = "aws sso login"
	checkExplained(t, map[string]explained{
		"session over":     {get(refusedWith("UnauthorizedException", "Session token not found or invalid")), []string{login}, nil},
		"no assignment":    {get(refusedWith("ForbiddenException", "No access")), []string{"sso_role_name"}, []string{login}},
		"no such account":  {get(refusedWith("ResourceNotFoundException", "no")), []string{"sso_account_id"}, []string{login}},
		"too often":        {get(refusedWith("TooManyRequestsException", "no")), []string{"throttles"}, []string{login}},
		"no such endpoint": {get(&url.Error{Op: "Get", URL: "https://portal.sso.eu-west-9.amazonaws.com", Err: &net.DNSError{Err: "no such host", IsNotFound: true}}), []string{"sso_region"}, []string{login}},
	})
}

// TestWayToAWSThatIsBarred: between us and AWS stand proxies, certificates and names.
func TestWayToAWSThatIsBarred(t *testing.T) {
	t.Parallel()
	dial := func(op string, err error) error { return &net.OpError{Op: op, Net: "tcp", Err: err} }
	checkExplained(t, map[string]explained{
		"unknown authority": {sent(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), []string{"AWS_CA_BUNDLE"}, []string{"AWS_REGION"}},
		"of another name":   {sent(&tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: &x509.Certificate{DNSNames: []string{"proxy.local"}}, Host: "sqs"}}), []string{"other names", "AWS_ENDPOINT_URL_SQS"}, nil},
		"expired":           {sent(&tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired}}), []string{"correct the clock"}, nil},
		"no TLS":            {sent(errors.New("http: server gave HTTP response to HTTPS client")), []string{"write http://"}, nil},
		"TLS":               {sent(errors.New(`net/http: HTTP/1.x transport connection broken: malformed HTTP response "\x15\x03\x01\x00\x02\x02"`)), []string{"write https://"}, nil},
		"proxy away":        {sent(dial("proxyconnect", syscall.ECONNREFUSED)), []string{"HTTPS_PROXY"}, []string{"AWS_REGION"}},
		"proxy with login":  {sent(errors.New("Proxy Authentication Required")), []string{"HTTPS_PROXY"}, nil},
		"no files left":     {sent(dial("socket", syscall.EMFILE)), []string{"LimitNOFILE"}, []string{"AWS_REGION"}},
		"no such name":      {sent(&net.DNSError{Err: "no such host", Name: "sqs.eu-west-9.amazonaws.com"}), []string{"AWS_ENDPOINT_URL_SQS", "network"}, nil},
		"page of a proxy":   {statusOf(http.StatusBadGateway), []string{"status 502", "proxy"}, []string{"is not SQS"}},
		"page of a wall":    {statusOf(http.StatusForbidden), []string{"status 403", "refuses"}, []string{"is not SQS"}},
		"page of another":   {statusOf(http.StatusOK), []string{"is not SQS"}, nil},
	})
}

// TestUnidentified: a role that is refused says nothing about what was called.
func TestUnidentified(t *testing.T) {
	t.Parallel()
	if !Unidentified(failed("SFN", "DescribeExecution", failed("STS", "AssumeRole", refusedWith("AccessDenied", "no")))) {
		t.Error("the refusal of a role counts as one of the call")
	}
	if Unidentified(failed("SFN", "DescribeExecution", refusedWith("AccessDeniedException", "no"))) {
		t.Error("a refusal of the call counts as one of a role")
	}
}
