package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"statuscache/cache/cachetest"
	"statuscache/httpapi/auth"
)

// gauge returns the value of a metric without labels, and whether there is one.
func gauge(t *testing.T, from prometheus.Gatherer, name string) (float64, bool) {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.Metric[0].GetGauge().GetValue(), true
		}
	}
	return 0, false
}

// TestHealthReportsAFailingIntrospectionEndpoint: an introspection endpoint that fails, or refuses our
// credentials, shows in the health, in a metric and in one log line with the fix, even without a
// request; and so does the end of the failure.
func TestHealthReportsAFailingIntrospectionEndpoint(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "many seconds")
	for status, want := range map[int]string{http.StatusUnauthorized: "refuses the credentials", http.StatusInternalServerError: "does not answer as it should"} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			p := newPlatform(t)
			p.status = status
			var log cachetest.Log
			s := New(Options{Log: slog.New(slog.NewTextHandler(&log, nil)), Introspection: &auth.Introspection{
				URL: p.url, ClientID: "status service", Secret: func() (string, error) { return "s3cret:", nil }, OwnerClaim: "sub", ScopePrefix: "status",
			}})
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- s.auth.Run(ctx) }()
			failing := func(value float64) bool {
				found := slices.ContainsFunc(s.health.Now().Reasons, func(r string) bool { return strings.HasPrefix(r, "introspection: ") && strings.Contains(r, want) })
				got, ok := gauge(t, s.options.Metrics, "statuscache_introspection_failing")
				return ok && found == (value == 1) && got == value
			}
			cachetest.Eventually(t, "health and the metric report it", func() bool { return failing(1) })
			if s.health.NotReady() != "" {
				t.Error("the service is not ready, which its other callers need")
			}
			p.set(func() { p.status = 0 })
			cachetest.Eventually(t, "they report the end of it", func() bool { return failing(0) })
			stop()
			if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			if n := strings.Count(log.String(), "AUTH_INTROSPECTION_URL"); n != 1 {
				t.Errorf("%d lines with the fix, want 1:\n%s", n, log.String())
			}
		})
	}
}

// TestHealthReportsACertificateThatEnds: within its last week, and the metric says when.
func TestHealthReportsACertificateThatEnds(t *testing.T) {
	t.Parallel()
	files := testCertificate(t)
	c, err := files.Config().GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{TLS: files})
	reported := func(words string) bool {
		return slices.ContainsFunc(s.health.Now().Reasons, func(r string) bool { return strings.HasPrefix(r, "certificate: ") && strings.Contains(r, words) })
	}
	leaf := c.Leaf
	for _, test := range []struct {
		in    time.Duration
		words string
	}{{8 * 24 * time.Hour, ""}, {6 * 24 * time.Hour, "it expires at"}, {-time.Minute, "it has expired"}} {
		leaf.NotAfter = time.Now().Add(test.in)
		if got := reported(test.words); got != (test.words != "") {
			t.Errorf("ends in %v: %q", test.in, s.health.Now().Reasons)
		}
		if got, _ := gauge(t, s.options.Metrics, "statuscache_certificate_end_timestamp_seconds"); got != float64(leaf.NotAfter.Unix()) {
			t.Errorf("ends in %v: the metric is %v", test.in, got)
		}
	}
}
