package hints

import (
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"statuscache/httpapi/client"
)

// TestCuresByCause has the causes that a test server cannot produce.
func TestCuresByCause(t *testing.T) {
	t.Parallel()
	for want, cause := range map[string]error{
		"use one of them":     x509.HostnameError{Certificate: &x509.Certificate{}, Host: "x"},
		"clock":               x509.CertificateInvalidError{Reason: x509.Expired},
		"HTTPS_PROXY":         &net.OpError{Op: "proxyconnect", Err: io.EOF},
		"no answer came":      &net.OpError{Op: "read", Err: timeout{}},
		"in front of the ser": io.EOF,
	} {
		if text := With(fmt.Errorf("list: %w", &client.UnreachableError{Server: "s", Err: cause})).Error(); !strings.Contains(text, want) {
			t.Errorf("%q does not say %q", text, want)
		}
	}
	redis := fmt.Errorf("REDIS_URL: %w", &net.OpError{Op: "dial", Err: io.EOF})
	if With(redis).Error() != redis.Error() {
		t.Error("an error that does not come from the service is changed")
	}
}

type timeout struct{}

func (timeout) Error() string   { return "i/o timeout" }
func (timeout) Timeout() bool   { return true }
func (timeout) Temporary() bool { return true }
