package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"statuscache/cache/cachetest"
)

// TestRequestsThatFailNameTheCure sends requests to servers that do not exist, are not the
// service, or refuse.
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
	const nobody = "http://127.0.0.1:1"
	for name, c := range map[string]struct {
		server, token string
		args          []string
		want          string
	}{
		"nothing listens":      {nobody, "x", get, "make sure that statusd runs, and check --server or STATUS_URL"},
		"a list":               {nobody, "x", []string{"list"}, "make sure that statusd runs"},
		"failures":             {nobody, "x", []string{"failures"}, "make sure that statusd runs"},
		"a link":               {nobody, "x", []string{"link", executions + "x"}, "make sure that statusd runs"},
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
			if c.server == nobody && c.args[0] != "get" {
				cachetest.SkipShort(t, "seconds of repetitions")
			}
			text := ctl(t, []string{"STATUS_URL=" + c.server, "STATUS_TOKEN=" + c.token}, exitCouldNotAsk, c.args...)
			if !strings.Contains(text, c.want) || strings.Contains(text, c.token+" ") {
				t.Errorf("%s does not say %q", text, c.want)
			}
		})
	}
}
