package awscall

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// isForeign reports whether something other than AWS has answered.
func isForeign(err error) bool {
	_, foreign := errors.AsType[*smithy.DeserializationError](err)
	return foreign
}

// foreignAnswer explains what may have answered. A status of a proxy does not mean that the
// endpoint is wrong.
func foreignAnswer(err error, service, check string) (brief, text string) {
	if answer, ok := errors.AsType[*smithyhttp.ResponseError](err); ok && answer.Response != nil && answer.Response.Response != nil {
		switch code := answer.HTTPStatusCode(); {
		case code >= 500:
			return "AWS cannot be reached", fmt.Sprintf("a proxy, a load balancer or a stand-in answers instead of %s, with status %d; statusd tries again. If this lasts, correct it, or check HTTPS_PROXY and %s", service, code, strings.TrimPrefix(check, "check "))
		case code == 401 || code == 403 || code == 407:
			return "AWS cannot be reached", fmt.Sprintf("a proxy or firewall on the way to %s refuses the call with status %d; allow the call there, or %s", service, code, check)
		}
	}
	return "the endpoint is not AWS", "the endpoint is not " + service + "; " + check
}

// networkHint returns what to do if a call gets no answer.
func networkHint(err error, check string) string {
	text := err.Error()
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var certificate x509.CertificateInvalidError
	var notTLS tls.RecordHeaderError
	switch {
	case errors.As(err, &authority):
		return "if a proxy intercepts TLS, or the endpoint is your own, put the certificate of its CA into the file that AWS_CA_BUNDLE names; otherwise install ca-certificates"
	case errors.As(err, &name):
		return "the certificate is for other names than the endpoint; " + check
	case errors.As(err, &certificate) && certificate.Reason == x509.Expired:
		return "correct the clock of this machine, or renew the certificate of the endpoint"
	case errors.As(err, &notTLS) || strings.Contains(text, "gave HTTP response to HTTPS client"):
		return "the endpoint does not speak TLS: write http:// instead of https://; " + check
	case strings.Contains(text, "malformed HTTP response") && strings.Contains(text, `\x15\x03`):
		return "the endpoint speaks TLS: write https:// instead of http://; " + check
	case strings.Contains(text, "proxyconnect") || strings.Contains(text, "Proxy Authentication Required"):
		return "the proxy failed; check HTTPS_PROXY and NO_PROXY"
	case errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE):
		return "raise the number of files that this process may open (ulimit -n, LimitNOFILE)"
	}
	return check + " and the network"
}
