package hints

import (
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"

	"statuscache/httpapi/client"
)

// With adds to an error of a request to the service what to do about it. Other errors
// are unchanged.
func With(err error) error {
	hint := ""
	if away, ok := errors.AsType[*client.UnreachableError](err); ok {
		hint = unreachableHint(away.Err)
	} else if answered, ok := errors.AsType[*client.Error](err); ok {
		hint = answerHint(answered)
	}
	if hint == "" {
		return err
	}
	return &hintedError{err, hint}
}

type hintedError struct {
	err  error
	hint string
}

func (e *hintedError) Error() string { return e.err.Error() + "; " + e.hint }
func (e *hintedError) Unwrap() error { return e.err }

const checkServer = "check --server or STATUS_URL"

// unreachableHint returns what to do if a request gets no answer.
func unreachableHint(err error) string {
	text := err.Error()
	_, unknownName := errors.AsType[*net.DNSError](err)
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var certificate x509.CertificateInvalidError
	var network net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: make sure that statusd runs, and " + checkServer
	case unknownName:
		return "the host is not known: " + checkServer + ", and DNS"
	case strings.Contains(text, "gave HTTP response to HTTPS client"):
		return "the port does not speak TLS: write http:// in --server or STATUS_URL"
	case errors.As(err, &authority):
		return "if your own CA has signed the certificate, put the certificate of the CA into a file and set SSL_CERT_FILE to its path"
	case errors.As(err, &name):
		return "the certificate is for other names: use one of them in --server or STATUS_URL"
	case errors.As(err, &certificate) && certificate.Reason == x509.Expired:
		return "renew the certificate of the service, or correct the clock of this machine"
	case strings.Contains(text, "proxyconnect"):
		return "the proxy failed: check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
	case strings.Contains(text, `header field value for "Authorization"`):
		return "the token contains a line break or another invalid character: check --token or STATUS_TOKEN"
	case errors.As(err, &network) && network.Timeout():
		return "no answer came in time: " + checkServer + ", and the network"
	}
	return "the connection ended without an answer: " + checkServer + ", and the proxy in front of the service"
}

// answerHint returns what to do about an answer, if the answer does not say this itself.
func answerHint(e *client.Error) string {
	switch {
	case e.StatusCode == http.StatusUnauthorized && e.Code == "Unauthorized":
		return "check --token or STATUS_TOKEN: the token or key must have no quotes, and must not be revoked or expired"
	case e.Code == "UnexpectedAnswer":
		return checkServer + ": it must be the URL of the API, without /v1, and not the URL of ADMIN_ADDR"
	case e.StatusCode == http.StatusNotFound && strings.Contains(e.Message, "nothing at this path"):
		return checkServer + ": it must be the URL of the API, without /v1"
	}
	return ""
}
