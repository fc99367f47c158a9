package main

import (
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"statuscache/cmd/internal/app"
	"statuscache/httpapi/client"
)

// TestRequestsThatFailNameTheCure asks what is not there, is something else, or refuses.
func TestRequestsThatFailNameTheCure(t *testing.T) {
	t.Parallel()
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>please log in</html>")
	}))
	t.Cleanup(page.Close)
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	_, env := service(t)
	url, token := strings.TrimPrefix(env[0], "STATUS_URL="), strings.TrimPrefix(env[1], "STATUS_TOKEN=")
	get := []string{"get", executions + "x"}
	for name, c := range map[string]struct {
		server, token string
		args          []string
		want          string
	}{
		"nothing listens":      {"http://127.0.0.1:1", "x", get, "see that statusd runs, and check --server or STATUS_URL"},
		"a list":               {"http://127.0.0.1:1", "x", []string{"list"}, "see that statusd runs"},
		"failures":             {"http://127.0.0.1:1", "x", []string{"failures"}, "see that statusd runs"},
		"a link":               {"http://127.0.0.1:1", "x", []string{"link", executions + "x"}, "see that statusd runs"},
		"no such host":         {"http://status.invalid", "x", get, "check --server or STATUS_URL"},
		"a page":               {page.URL, "x", get, "answers with text/html"},
		"no TLS":               {strings.Replace(plain.URL, "http:", "https:", 1), "x", get, "write http://"},
		"an unknown authority": {secure.URL, "x", get, "SSL_CERT_FILE"},
		"a path too many":      {url + "v1", token, get, "without /v1"},
		"a wrong token":        {url, "csk_live_00000000000000000000000000000000", get, "check --token or STATUS_TOKEN"},
		"a token of two lines": {url, "csk\nlive", get, "line break"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := ctl(t, []string{"STATUS_URL=" + c.server, "STATUS_TOKEN=" + c.token}, exitCouldNotAsk, c.args...)
			if !strings.Contains(text, c.want) || strings.Contains(text, c.token+" ") {
				t.Errorf("%s does not say %q", text, c.want)
			}
		})
	}
}

// TestCuresByCause has the causes that no server of a test shows.
func TestCuresByCause(t *testing.T) {
	t.Parallel()
	for want, cause := range map[string]error{
		"use one of them":     x509.HostnameError{Certificate: &x509.Certificate{}, Host: "x"},
		"clock":               x509.CertificateInvalidError{Reason: x509.Expired},
		"HTTPS_PROXY":         &net.OpError{Op: "proxyconnect", Err: io.EOF},
		"no answer came":      &net.OpError{Op: "read", Err: timeout{}},
		"in front of the ser": io.EOF,
	} {
		if text := withCure(fmt.Errorf("list: %w", &client.UnreachableError{Server: "s", Err: cause})).Error(); !strings.Contains(text, want) {
			t.Errorf("%q does not say %q", text, want)
		}
	}
	redis := fmt.Errorf("REDIS_URL: %w", &net.OpError{Op: "dial", Err: io.EOF})
	if withCure(redis).Error() != redis.Error() || couldNotAsk(nil) != nil || app.Exit(io.Discard, "statusctl", couldNotAsk(redis)) != exitCouldNotAsk {
		t.Error("an error that is not of the service is changed")
	}
}

type timeout struct{}

func (timeout) Error() string   { return "i/o timeout" }
func (timeout) Timeout() bool   { return true }
func (timeout) Temporary() bool { return true }

// TestTokensAsPeopleCopyThem takes a token with a line break at its end and one with Bearer.
func TestTokensAsPeopleCopyThem(t *testing.T) {
	t.Parallel()
	for _, given := range []string{"secret", "secret\n", " secret\r\n", "Bearer secret", "bearer  secret\n"} {
		if got := tokenOf(given); got != "secret" {
			t.Errorf("%q is sent as %q", given, got)
		}
	}
}
