package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"statuscache/cache/cachetest"
	"statuscache/cmd/internal/app"
	"statuscache/cmd/internal/apptest"
	"statuscache/ingest/sqstest"
)

// TestHealthcheckDistinguishesLivenessFromReadiness: while Redis is unreachable, statusd is
// alive but not ready. Each check prints one line and has an exit code.
func TestHealthcheckDistinguishesLivenessFromReadiness(t *testing.T) {
	t.Parallel()
	redis := cachetest.Redis(t)
	endpoint, _ := sqstest.Local(t)
	d := startDaemon(t, redis, sqstest.NewQueue(t, sqstest.Client(t, endpoint), nil), "AWS_ENDPOINT_URL_SQS="+endpoint)
	check := func(args ...string) (int, string) {
		p := apptest.Start(t, "statusd", []string{"ADMIN_ADDR=" + d.admin, "HTTP_PROXY=http://127.0.0.1:1", "RETENTION=wrong"}, append([]string{"healthcheck"}, args...)...)
		return p.Wait(), strings.Join(p.Lines(), "\n")
	}
	alive := func() bool { // a check has four seconds, which may be too few for a busy machine
		code, out := check()
		return code == 0 && out == "ok"
	}
	cachetest.Eventually(t, "statusd is alive", alive)
	cachetest.Eventually(t, "statusd is ready", func() bool {
		code, out := check("--ready")
		return code == 0 && out == "ready"
	})
	redis.Kill()
	cachetest.Eventually(t, "statusd is not ready, for one reason on one line", func() bool {
		code, out := check("--ready")
		return code == 1 && strings.HasPrefix(out, "statusd: /readyz of "+d.admin+" answers 503: redis: ") && !strings.Contains(out, "\n")
	})
	cachetest.Eventually(t, "statusd is alive without Redis", alive)
	d.Kill()
	if code, out := check(); code != 1 || !strings.Contains(out, "refused") || strings.Contains(out, "\n") {
		t.Errorf("killed: exit code %d, %q", code, out)
	}
}

// TestHealthcheckUsesTheAddressOfTheProcess: an address without a host, as ADMIN_ADDR
// often is, means this machine.
func TestHealthcheckUsesTheAddressOfTheProcess(t *testing.T) {
	t.Parallel()
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) }))
	t.Cleanup(admin.Close)
	_, port, err := net.SplitHostPort(admin.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"", "127.0.0.1", "0.0.0.0", "localhost"} {
		cachetest.Eventually(t, "an answer of "+host, func() bool {
			got, err := probe(t.Context(), host+":"+port, "/livez")
			return got == "ok" && err == nil
		})
	}
	for _, args := range [][]string{{"--admin-addr", "9090"}, {"extra"}} {
		if code, out := apptest.Run(t, inTest, nil, append([]string{"healthcheck"}, args...)...); code != 1 || strings.Count(out, "\n") != 1 {
			t.Errorf("%v: exit code %d, %q", args, code, out)
		}
	}
}

// inTest is statusd within the process of a test.
func inTest(stdout, stderr io.Writer) *cobra.Command {
	return command(stdout, stderr, app.Program{})
}
